// What the kernels of mixers move and which banks they make wait, counted access by access on the emulator, at head
// dims 64, 128 and 256, for two GPUs, with the tiles that kernels have without ptxas. The figures stand in
// traffic_table.txt (CommittedTable.h).
//
// A launch must move each byte that it reads once, and each that it writes once. How often it moves that much:
//   ideal     every sector of 32 bytes once, as with an L2 cache that holds all
//   16k, 64k  through the GPU's L2 cache (CacheModel.h), where the tokens stand for so many: 1024 tokens on a
//   sixteenth,
//             or a sixty-fourth, of the cache and of the blocks that run at a time (of all of these where a block walks
//             along a whole row, so that there are no more of them for more tokens)
//   no L2     every sector once for each block
// The bounds are for 16k tokens: 1.15 forward, 1.3 backward.
//
// Residual linear attention is counted once more, under saved/, with every state saved: it has other kernels then.
//
// Head dims above 64 take minutes: they, and f32 for sm_90a, whose code is that for sm_80 but for such heads, run where
// ORIEL_TRAFFIC is set in the environment, and are else skipped.
#include "compiler/schedule/Occupancy.h"
#include "compiler/schedule/ShippedDevices.h"
#include "tests/numerics/nvidia/CommittedTable.h"
#include "tests/numerics/nvidia/ModelKernels.h"
#include "tests/support/nvidia/EmulatedKernels.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <cstring>
#include <random>

namespace oriel::testing {
namespace {

using codegen::nvidia::CheckedKernel;
using codegen::nvidia::NvidiaKernelInfo;
using codegen::nvidia::NvidiaTarget;
using runtime::emulated::CacheModel;
using runtime::emulated::LaunchReport;

constexpr int64_t tokens = 1024;

/// A local and a global layer and nothing else that matters.
std::string modelText(int headDim) {
  return "model traffic {\n  d = 64 heads = 4 kv_heads = 2 head_dim = " + std::to_string(headDim) + R"(
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

/// Whether a cell of the grid walks along all tokens of a row.
bool walksAlongRows(llvm::StringRef kernel) {
  return kernel.starts_with("rla_states_") || kernel.starts_with("rla_cotangents_");
}

bool isForward(llvm::StringRef kernel) { return kernel.contains("fwd") || kernel.starts_with("rla_states_"); }

/// How often HBM may move for 16k tokens what it must.
double mostAt16k(llvm::StringRef kernel) { return isForward(kernel) ? 1.15 : 1.3; }

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

/// A part of the GPU's cache and of the blocks that it runs at a time, each with as many registers as a thread can
/// have.
CacheModel shareOf(const schedule::DeviceDescriptor &gpu, const NvidiaKernelInfo &kernel, int64_t parts) {
  int64_t registers = 65536 / kernel.threads / (kernel.threads == 128 ? 2 : 1);
  schedule::Occupancy occupancy = schedule::occupancyOf(
      *gpu.multiprocessor, {kernel.threads, std::min<int64_t>(registers, 255), kernel.sharedBytes});
  int64_t blocks = gpu.cores * occupancy.blocks / (walksAlongRows(kernel.symbol) ? 1 : parts);
  return {gpu.cacheBytes.back() / parts, std::max<int64_t>(1, blocks)};
}

struct Case {
  const char *chip;
  bool isBf16;
  int headDim;
  bool savesAll = false; ///< only residual linear attention, with every state saved; else all mixers, as they are scheduled

  std::string prefix() const {
    return (savesAll ? "saved/" : "") + std::string(chip) + "/" + (isBf16 ? "bf16/" : "f32/") + std::to_string(headDim) + "/";
  }
  std::string schedule() const {
    return savesAll ? "tape.schedule @layers.0.mixer.residual_linear_attention chunk 64 save_every 1 two_pass\n" : "";
  }
  bool counts(llvm::StringRef kernel) const { return savesAll ? kernel.starts_with("rla_") : isOfMixer(kernel); }
};

void PrintTo(const Case &c, std::ostream *out) { *out << c.prefix(); }

class TrafficTest : public ::testing::TestWithParam<Case> {};

TEST_P(TrafficTest, KernelsMoveLittleMoreThanTheyMust) {
  auto [chip, isBf16, headDim, savesAll] = GetParam();
  if ((headDim > 64 || (!isBf16 && std::string(chip) == "sm_90a")) && !std::getenv("ORIEL_TRAFFIC"))
    GTEST_SKIP() << "takes long: set ORIEL_TRAFFIC to count";
  NvidiaTarget target = *NvidiaTarget::byChip(chip);
  schedule::DeviceDescriptor gpu = *schedule::shippedDevice(schedule::gpuOfChip(chip));
  mlir::MLIRContext context;
  auto module = kernelsOf({modelText(headDim), /*batch=*/1, tokens, chip, isBf16, GetParam().schedule()}, context);
  ASSERT_TRUE(module);
  for (auto kernel : llvm::make_early_inc_range(module->getOps<tile::KernelOp>()))
    if (!GetParam().counts(kernel.getSymName()))
      kernel.erase();
  LoweredKernels lowered = lowerForNvidia(*module, target, /*withChecks=*/true);
  auto code = EmulatedKernels::compile(lowered);
  ASSERT_TRUE(code.ok()) << code.status();
  CommittedTable::Lines lines;
  for (size_t i = 0; i < lowered.kernels.size(); ++i) {
    const CheckedKernel &kernel = lowered.checked[i];
    std::vector<Buffer> buffers(kernel.buffers.begin(), kernel.buffers.end());
    std::vector<void *> addresses;
    for (Buffer &buffer : buffers)
      addresses.push_back(buffer.start());
    LaunchReport report;
    EXPECT_EQ((*code)->launch(i, addresses, 1, &report, /*keepTraces=*/true), absl::OkStatus());
    auto times = [&](int64_t bytes) { return double(bytes) / double(report.neededBytes()); };
    double of16k = times(report.cachedBytes(shareOf(gpu, lowered.kernels[i], 16)));
    double of64k = times(report.cachedBytes(shareOf(gpu, lowered.kernels[i], 64)));
    char text[200];
    std::snprintf(text, sizeof text,
                  "needs %lld  ideal %.3f  16k %.3f  64k %.3f  no L2 %.2f  bank conflicts %.3f  sectors %.3f",
                  static_cast<long long>(report.neededBytes()), times(report.launchBytes()), of16k, of64k,
                  times(report.blockBytes()), report.costOf(true).mean(), report.costOf(false).mean());
    lines[GetParam().prefix() + kernel.symbol] = text;
    EXPECT_LE(of16k, mostAt16k(kernel.symbol)) << kernel.symbol;
  }
  CommittedTable("traffic_table.txt")
      .expect("bytes that a launch must move; how many times that HBM moves; wavefronts and sectors per request "
              "against the least (TrafficTest.cpp)",
              lines, GetParam().prefix());
}

INSTANTIATE_TEST_SUITE_P(Mixers, TrafficTest,
                         ::testing::Values(Case{"sm_80", true, 64}, Case{"sm_80", true, 128}, Case{"sm_80", true, 256},
                                           Case{"sm_80", false, 64}, Case{"sm_80", false, 128},
                                           Case{"sm_80", false, 256}, Case{"sm_90a", true, 64},
                                           Case{"sm_90a", true, 128}, Case{"sm_90a", true, 256},
                                           Case{"sm_90a", false, 64}, Case{"sm_90a", false, 128},
                                           Case{"sm_90a", false, 256}, Case{"sm_80", true, 64, true},
                                           Case{"sm_80", true, 128, true}, Case{"sm_90a", true, 64, true},
                                           Case{"sm_90a", true, 128, true}),
                         [](const auto &info) {
                           std::string name = info.param.prefix();
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name + "heads";
                         });

} // namespace
} // namespace oriel::testing
