// Every kernel of a model of each mixer, at head dims 64, 128 and 256, lowers for every GPU and is taken by ptxas; what
// ptxas says of it stands in kernel_table.txt (CommittedTable.h).
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/driver/Ptxas.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "runtime/base/Files.h"
#include "tests/numerics/nvidia/CommittedTable.h"
#include "tests/numerics/nvidia/ModelKernels.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "gtest/gtest.h"
#include <filesystem>
#include <map>
#include <sstream>
#include <unistd.h>

namespace oriel::testing {
namespace {

using codegen::nvidia::NvidiaKernelInfo;
using codegen::nvidia::NvidiaTarget;
using driver::KernelResources;

/// A model of one layer of each mixer.
std::string modelText(int headDim) {
  std::string size = std::to_string(headDim);
  return "model heads_" + size + " {\n  d = 256 heads = 4 kv_heads = 2 head_dim = " + size + R"(
  block layer(mixer) {
    residual { rms_norm | mixer }
    residual { rms_norm | gated_mlp(hidden = 3 * d, activation = silu) }
  }
  embed(vocab = 512, dim = d)
  | layer(rattention(heads, kv_heads, head_dim, window = 128, rope = 5e5))
  | layer(attention(heads, kv_heads, head_dim, rope = none))
  | rms_norm | unembed(tied) | cross_entropy
}
)";
}

/// One line of the table, without the kernel's name.
struct Row {
  int64_t threads = 0, sharedBytes = 0, stages = 1;
  std::vector<KernelResources> onChips; // in the order of NvidiaTarget::all()

  std::string text() const {
    std::ostringstream out;
    const KernelResources &first = onChips.front();
    out << "threads " << threads << "  shared " << sharedBytes << "  stages " << stages << "  mma "
        << first.tensorInstructions << "  barriers " << first.barriers << "  copies " << first.copies << "  registers";
    for (const KernelResources &chip : onChips)
      out << " " << chip.registers;
    out << "  spills";
    for (const KernelResources &chip : onChips)
      out << " " << chip.spillBytes;
    int64_t wgmma = 0; // of the chip that has it
    for (const KernelResources &chip : onChips)
      wgmma = std::max(wgmma, chip.wgmma);
    if (wgmma)
      out << "  wgmma " << wgmma;
    return out.str();
  }
};

class KernelTableTest : public ::testing::Test {
protected:
  KernelTableTest()
      : folder_(std::filesystem::temp_directory_path() / ("oriel-kernel-table-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~KernelTableTest() override { std::filesystem::remove_all(folder_); }

  /// Adds the kernels of a model that are not in the table yet, in f32 and in bf16.
  void addKernelsOf(const std::string &model) {
    for (bool isBf16 : {false, true}) {
      mlir::MLIRContext context;
      auto kernels = kernelsOf({model, /*batch=*/2, /*tokens=*/256, "sm_80", isBf16}, context);
      ASSERT_TRUE(kernels);
      mlir::OwningOpRef<mlir::ModuleOp> fresh = newKernels(*kernels);
      for (const NvidiaTarget &target : NvidiaTarget::all())
        assembleFor(*fresh, target);
    }
  }

  std::map<std::string, Row> table_;

private:
  mlir::OwningOpRef<mlir::ModuleOp> newKernels(mlir::ModuleOp module);
  void assembleFor(mlir::ModuleOp kernels, const NvidiaTarget &target);

  std::string folder_;
};

/// The kernels of `module` that the table lacks and that lower; the others are failures of the test.
mlir::OwningOpRef<mlir::ModuleOp> KernelTableTest::newKernels(mlir::ModuleOp module) {
  mlir::OwningOpRef<mlir::ModuleOp> fresh = mlir::ModuleOp::create(module.getLoc());
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    std::string name = kernel.getSymName().str(), message;
    if (table_.count(name))
      continue;
    mlir::ScopedDiagnosticHandler handler(module.getContext(), [&](mlir::Diagnostic &diagnostic) {
      message += diagnostic.str() + "\n";
      return mlir::success();
    });
    mlir::OwningOpRef<mlir::ModuleOp> alone = mlir::ModuleOp::create(module.getLoc());
    mlir::OpBuilder::atBlockEnd(alone->getBody()).clone(*kernel);
    llvm::SmallVector<NvidiaKernelInfo> kernels;
    if (failed(codegen::nvidia::lowerToNvvm(*alone, NvidiaTarget::sm80(), kernels))) {
      ADD_FAILURE() << name << " does not lower: " << message;
      continue;
    }
    table_[name] = {kernels[0].threads, kernels[0].sharedBytes, kernels[0].stages, {}};
    mlir::OpBuilder::atBlockEnd(fresh->getBody()).clone(*kernel);
  }
  return fresh;
}

void KernelTableTest::assembleFor(mlir::ModuleOp kernels, const NvidiaTarget &target) {
  if (kernels.getBody()->empty())
    return;
  llvm::SmallVector<NvidiaKernelInfo> infos;
  auto lowered = codegen::nvidia::lowerToNvvm(kernels, target, infos);
  ASSERT_TRUE(succeeded(lowered));
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = codegen::nvidia::translateToLlvm(**lowered, target, context);
  ASSERT_TRUE(module);
  std::string error, ptx = codegen::nvidia::emitPtx(*module, target, error);
  ASSERT_EQ(error, "");
  std::string stem = folder_ + "/" + target.chip;
  ASSERT_TRUE(runtime::writeFileAtomically(stem + ".ptx", ptx).ok());
  std::map<std::string, KernelResources> report =
      driver::assemble(driver::findPtxas(), stem + ".ptx", target.chip, stem + ".cubin", error);
  ASSERT_EQ(error, "");
  for (const NvidiaKernelInfo &info : infos) {
    const KernelResources &resources = report[info.symbol];
    EXPECT_GT(resources.registers, 0) << info.symbol;
    EXPECT_EQ(resources.spillBytes, 0) << info.symbol << " on " << target.chip;
    EXPECT_EQ(resources.serialized, "") << info.symbol;
    table_[info.symbol].onChips.push_back(resources);
  }
}

TEST_F(KernelTableTest, EveryKernelAssemblesForEveryGpu) {
  std::string version = driver::ptxasVersion(driver::findPtxas());
  if (version.empty())
    GTEST_SKIP() << "ptxas is not on PATH: no kernel was assembled";
  for (int headDim : {64, 128, 256})
    addKernelsOf(modelText(headDim));

  std::string head = "ptxas " + version + "; registers and spilled bytes of a thread on";
  for (const NvidiaTarget &target : NvidiaTarget::all())
    head += " " + target.chip;
  CommittedTable::Lines lines;
  for (const auto &[name, row] : table_)
    lines[name] = row.text();
  CommittedTable committed("kernel_table.txt");
  if (committed.head() != head && !CommittedTable::isUpdate())
    GTEST_SKIP() << "every kernel assembles, but kernel_table.txt is of another ptxas than this one (" << version
                 << ")";
  committed.expect(head, lines);
}

} // namespace
} // namespace oriel::testing
