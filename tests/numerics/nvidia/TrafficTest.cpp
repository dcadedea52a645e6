// What the kernels of mixers move and which banks they make wait, counted access by access on the emulator, at head
// dims 64, 128 and 256. The figures stand in traffic_table.txt, so that a change shows as a diff;
// ORIEL_UPDATE_KERNEL_TABLE=1 writes that file anew.
//
// The bound of a launch: each byte that it reads once, each that it writes once. HBM: in sectors of 32 bytes, each once
// per launch, as with an L2 cache that holds what a launch touches (here at most a few MB, as 40 MB do on an A100).
#include "runtime/base/Files.h"
#include "tests/numerics/nvidia/ModelKernels.h"
#include "tests/support/nvidia/EmulatedKernels.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <cstring>
#include <random>

namespace oriel::testing {
namespace {

using codegen::nvidia::CheckedKernel;
using codegen::nvidia::NvidiaTarget;
using runtime::emulated::LaunchReport;

/// A local and a global layer and nothing else that matters.
std::string modelText(int headDim) {
  return "model traffic {\n  d = 64 heads = 2 kv_heads = 1 head_dim = " + std::to_string(headDim) + R"(
  block layer(mixer) { residual { rms_norm | mixer } }
  embed(vocab = 64, dim = d)
  | layer(rattention(heads, kv_heads, head_dim, window = 64, rope = 5e5))
  | layer(attention(heads, kv_heads, head_dim, rope = none))
  | rms_norm | unembed(tied) | cross_entropy
}
)";
}

bool isOfMixer(llvm::StringRef kernel) {
  return kernel.starts_with("attn_") || kernel.starts_with("rla_") || kernel.starts_with("rattention_");
}

/// A buffer of a kernel: small random numbers, or zeros for integers, which are valid document starts and lengths.
struct Buffer {
  explicit Buffer(const CheckedKernel::Buffer &like) : memory(static_cast<size_t>(like.bytes + 256)) {
    bool isBf16 = llvm::StringRef(like.type).contains("bf16"),
         isReal = isBf16 || llvm::StringRef(like.type).contains("f32");
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    char *bytes = start();
    for (int64_t at = 0; isReal && at < like.bytes; at += isBf16 ? 2 : 4) {
      float value = normal(random);
      std::memcpy(bytes + at, reinterpret_cast<char *>(&value) + (isBf16 ? 2 : 0), isBf16 ? 2 : 4);
    }
  }
  /// Aligned as the driver aligns allocations.
  char *start() { return reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(memory.data()) + 255) / 256 * 256); }
  std::vector<char> memory;
};

std::string line(const LaunchReport &report) {
  double needed = double(report.neededBytes());
  auto shared = report.costOf(true), global = report.costOf(false);
  char text[160];
  std::snprintf(text, sizeof text, "needs %lld  HBM %.3f  without L2 %.2f  bank conflicts %.3f  sectors %.3f",
                static_cast<long long>(report.neededBytes()), double(report.launchBytes()) / needed,
                double(report.blockBytes()) / needed, shared.mean(), global.mean());
  return text;
}

TEST(TrafficTest, KernelsMoveLittleMoreThanTheyMust) {
  std::string text =
      "bytes that a launch must move; how many times that HBM moves, with an L2 cache and without; wavefronts "
      "and sectors per request against the least\n";
  for (int headDim : {64, 128, 256}) {
    mlir::MLIRContext context;
    auto module = kernelsOf({modelText(headDim), /*batch=*/1, /*tokens=*/128, "sm_80", /*isBf16=*/true}, context);
    ASSERT_TRUE(module);
    for (auto kernel : llvm::make_early_inc_range(module->getOps<tile::KernelOp>()))
      if (!isOfMixer(kernel.getSymName()))
        kernel.erase();
    LoweredKernels lowered = lowerForNvidia(*module, NvidiaTarget::sm80(), /*withChecks=*/true);
    auto code = EmulatedKernels::compile(lowered);
    ASSERT_TRUE(code.ok()) << code.status();
    const std::vector<CheckedKernel> &checked = lowered.checked;
    ASSERT_EQ(lowered.kernels.size(), checked.size());
    for (size_t i = 0; i < checked.size(); ++i) {
      std::vector<Buffer> buffers(checked[i].buffers.begin(), checked[i].buffers.end());
      std::vector<void *> addresses;
      for (Buffer &buffer : buffers)
        addresses.push_back(buffer.start());
      LaunchReport report;
      EXPECT_EQ((*code)->launch(i, addresses, 1, &report), absl::OkStatus());
      bool isForward = checked[i].symbol.find("fwd") != std::string::npos;
      EXPECT_LE(double(report.launchBytes()), (isForward ? 1.15 : 1.3) * double(report.neededBytes()))
          << checked[i].symbol;
      text += checked[i].symbol + "  " + line(report) + "\n";
    }
  }
  std::string path = std::string(ORIEL_TESTS) + "/traffic_table.txt";
  if (std::getenv("ORIEL_UPDATE_KERNEL_TABLE")) {
    ASSERT_TRUE(runtime::writeFileAtomically(path, text).ok());
    return;
  }
  auto committed = runtime::readFile(path);
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_EQ(text, *committed);
}

} // namespace
} // namespace oriel::testing
