// Every kernel of a model of each mixer, at head dims 64, 128 and 256, lowers for every GPU and is taken by ptxas; what
// ptxas says of it stands in kernel_table.txt (CommittedTable.h). Tiles are those that kernels have without ptxas; with it
// the schedule may choose others (compiler/schedule/Tiling.h).
#include "compiler/codegen/EachKernel.h"
#include "compiler/codegen/nvidia/DeviceCode.h"
#include "compiler/codegen/store/UserStore.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "tests/numerics/nvidia/CommittedTable.h"
#include "tests/numerics/nvidia/ModelKernels.h"
#include "llvm/ADT/STLExtras.h"
#include "gtest/gtest.h"
#include <map>
#include <optional>
#include <sstream>

namespace oriel::testing {
namespace {

using codegen::nvidia::KernelResources;
using codegen::nvidia::NvidiaKernelInfo;
using codegen::nvidia::NvidiaTarget;

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

/// What ptxas says of a kernel on one chip.
struct OnChip {
  NvidiaKernelInfo block;
  KernelResources resources;
};

/// One line of the table, without the kernel's name. Blocks and instructions are those of the first chip that runs the
/// kernel; where its tiles are not for a chip, "-" stands in that chip's place.
struct Row {
  std::vector<std::optional<OnChip>> onChips = std::vector<std::optional<OnChip>>(NvidiaTarget::all().size());

  std::string text() const {
    const OnChip &first = **llvm::find_if(onChips, [](const auto &chip) { return chip.has_value(); });
    std::ostringstream out;
    out << "threads " << first.block.threads << "  shared " << first.block.sharedBytes << "  stages "
        << first.block.stages << "  mma " << first.resources.tensorInstructions - first.resources.wgmma << "  barriers "
        << first.resources.barriers << "  copies " << first.resources.copies;
    auto list = [&](const char *name, auto number) {
      out << "  " << name;
      for (const auto &chip : onChips)
        chip ? out << " " << number(chip->resources) : out << " -";
    };
    list("registers", [](const KernelResources &of) { return of.registers; });
    list("spills", [](const KernelResources &of) { return of.spillBytes; });
    auto ofTheChipThatHasIt = [&](const char *name, int64_t KernelResources::*count) {
      int64_t most = 0;
      for (const auto &chip : onChips)
        most = std::max(most, chip ? chip->resources.*count : 0);
      if (most)
        out << "  " << name << " " << most;
    };
    ofTheChipThatHasIt("wgmma", &KernelResources::wgmma);
    ofTheChipThatHasIt("tma", &KernelResources::tensorCopies);
    return out.str();
  }
};

class KernelTableTest : public ::testing::Test {
protected:
  /// Adds the kernels of a model as they are for `maker`, on each of the chips that they are for.
  void addKernelsOf(const std::string &model, const std::string &maker, bool isBf16,
                    llvm::function_ref<bool(const NvidiaTarget &)> isFor) {
    mlir::MLIRContext context;
    auto kernels = kernelsOf({model, /*batch=*/2, /*tokens=*/256, maker, isBf16}, context);
    ASSERT_TRUE(kernels);
    for (auto [chip, target] : llvm::enumerate(NvidiaTarget::all()))
      if (isFor(target))
        assembleFor(*newKernels(*kernels, chip), chip);
  }

  std::map<std::string, Row> table_;

private:
  mlir::OwningOpRef<mlir::ModuleOp> newKernels(mlir::ModuleOp module, size_t chip);
  void assembleFor(mlir::ModuleOp kernels, size_t chip);
};

/// The kernels of `module` that the table lacks for a chip and that lower; the others are failures of the test.
mlir::OwningOpRef<mlir::ModuleOp> KernelTableTest::newKernels(mlir::ModuleOp module, size_t chip) {
  mlir::OwningOpRef<mlir::ModuleOp> fresh = mlir::ModuleOp::create(module.getLoc());
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    std::string name = kernel.getSymName().str(), message;
    if (table_.count(name) && table_[name].onChips[chip])
      continue;
    mlir::ScopedDiagnosticHandler handler(module.getContext(), [&](mlir::Diagnostic &diagnostic) {
      message += diagnostic.str() + "\n";
      return mlir::success();
    });
    mlir::OwningOpRef<mlir::ModuleOp> alone = mlir::ModuleOp::create(module.getLoc());
    mlir::OpBuilder::atBlockEnd(alone->getBody()).clone(*kernel);
    llvm::SmallVector<NvidiaKernelInfo> kernels;
    const NvidiaTarget &target = NvidiaTarget::all()[chip];
    if (failed(codegen::nvidia::lowerToNvvm(*alone, target, kernels)))
      ADD_FAILURE() << name << " does not lower for " << target.chip << ": " << message;
    else
      mlir::OpBuilder::atBlockEnd(fresh->getBody()).clone(*kernel);
  }
  return fresh;
}

void KernelTableTest::assembleFor(mlir::ModuleOp kernels, size_t chip) {
  codegen::nvidia::prepareContext(*kernels.getContext());
  codegen::nvidia::DeviceCompiler compiler(NvidiaTarget::all()[chip], codegen::userStore());
  std::vector<std::optional<OnChip>> rows(llvm::range_size(kernels.getOps<tile::KernelOp>()));
  ASSERT_TRUE(succeeded(codegen::forEachKernel(kernels, [&](tile::KernelOp kernel, size_t number) -> llvm::LogicalResult {
    auto info = codegen::nvidia::planKernel(kernel, compiler.target());
    auto code = compiler.compile(kernel);
    if (failed(info) || failed(code))
      return llvm::failure();
    rows[number] = {*info, code->resources};
    return llvm::success();
  })));
  for (const auto &row : rows) {
    const auto &[info, resources] = *row;
    EXPECT_GT(resources.registers, 0) << info.symbol;
    EXPECT_EQ(resources.spillBytes, 0) << info.symbol << " on " << compiler.target().chip;
    EXPECT_EQ(resources.serialized, "") << info.symbol;
    table_[info.symbol].onChips[chip] = row;
  }
}

TEST_F(KernelTableTest, EveryKernelAssemblesForEveryGpu) {
  std::string version = codegen::nvidia::Ptxas::find().version();
  if (version.empty())
    GTEST_SKIP() << "ptxas is not on PATH: no kernel was assembled";
  for (int headDim : {64, 128, 256}) {
    addKernelsOf(modelText(headDim), "sm_80", /*isBf16=*/false, [](const NvidiaTarget &on) { return !on.hasLargeBlocks(); });
    addKernelsOf(modelText(headDim), "sm_90a", /*isBf16=*/false, [](const NvidiaTarget &on) { return on.hasLargeBlocks(); });
    addKernelsOf(modelText(headDim), "sm_80", /*isBf16=*/true, [](const NvidiaTarget &on) { return !on.hasWgmma; });
    addKernelsOf(modelText(headDim), "sm_90a", /*isBf16=*/true, [](const NvidiaTarget &on) { return on.hasWgmma; });
  }

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
