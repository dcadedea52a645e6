// `orielc --explain`: the one-page summary of a compilation.
#include "compiler/analysis/PlannedMemory.h"
#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/driver/Compile.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace oriel::driver {

static constexpr double mib = 1024.0 * 1024.0;

static int64_t moduleInt(ModuleOp module, StringRef name) {
  auto value = module->getAttrOfType<IntegerAttr>(name);
  return value ? value.getInt() : 0;
}

static int64_t parameterCount(ModuleOp module) {
  int64_t count = 0;
  if (auto parameters = module->getAttrOfType<ArrayAttr>("tape.parameters"))
    for (auto parameter : parameters.getAsRange<DictionaryAttr>()) {
      int64_t elements = 1;
      for (int64_t size : parameter.getAs<DenseI64ArrayAttr>("shape").asArrayRef())
        elements *= size;
      count += elements;
    }
  return count;
}

static void printHead(ModuleOp module, llvm::raw_ostream &out) {
  auto model = module->getAttrOfType<StringAttr>("lm.model");
  auto flops = module->getAttrOfType<FloatAttr>("tape.flops_per_token");
  out << llvm::formatv("{0}: {1:N} parameters, {2:F2} MFLOP per token (forward and backward), {3} x {4} tokens per "
                       "micro-batch, world {5}\n\n",
                       model ? model.getValue() : "module", parameterCount(module),
                       (flops ? flops.getValueAsDouble() : 0) / 1e6, moduleInt(module, "lm.batch"),
                       moduleInt(module, "lm.tokens"), std::max<int64_t>(1, moduleInt(module, "tape.world")));
}

/// Kernels and products that work on bf16, where there are any.
static void printStorage(ModuleOp module, llvm::raw_ostream &out) {
  int64_t narrow = 0, all = 0;
  module.walk([&](Operation *op) {
    if (!isa<tape::CallOp, tape::MatmulOp>(op))
      return;
    auto isBf16 = [](Type type) { return cast<ShapedType>(type).getElementType().isBF16(); };
    narrow += llvm::any_of(op->getOperandTypes(), isBf16) || llvm::any_of(op->getResultTypes(), isBf16);
    ++all;
  });
  if (narrow > 0)
    out << llvm::formatv("storage: bf16 in {0} of {1} steps (parameters, gradients, sums, states in f32)\n\n", narrow,
                         all);
}

static void printPrograms(ModuleOp module, llvm::raw_ostream &out) {
  out << llvm::formatv("{0,-12} {1,8} {2,8} {3,8} {4,12}\n", "program", "kernels", "products", "other", "arena MiB");
  for (auto program : module.getOps<tape::ProgramOp>()) {
    int64_t calls = 0, products = 0, other = 0;
    for (Operation &op : program.getBody().front().without_terminator())
      ++(isa<tape::CallOp>(op) ? calls : isa<tape::MatmulOp>(op) ? products : other);
    out << llvm::formatv("{0,-12} {1,8} {2,8} {3,8} {4,12:F2}\n", program.getSymName(), calls, products, other,
                         program.getArenaBytes().value_or(0) / mib);
  }
}

static void printMemory(ModuleOp module, llvm::raw_ostream &out) {
  analysis::PlannedMemory memory = analysis::plannedMemory(module);
  out << llvm::formatv(
      "\nplanned peak {0} bytes ({1:F2} MiB): arena {2:F2}, state {3:F2}, caller {4:F2}, constants {5:F2} MiB\n",
      memory.totalBytes(), memory.totalBytes() / mib, memory.arenaBytes / mib, memory.stateBytes / mib,
      memory.ioBytes / mib, memory.constantBytes / mib);
}

static void printSchedule(ModuleOp module, llvm::raw_ostream &out) {
  out << "\nstate-save schedule (edit this text and pass it with --schedule)\n";
  for (auto decision : module.getOps<tape::ScheduleOp>())
    out << "  " << decision << "\n";
  for (auto tiles : module.getOps<tape::TilesOp>())
    out << "  " << tiles << "\n";
}

static LogicalResult printKernels(ModuleOp module, llvm::raw_ostream &out) {
  llvm::StringMap<int64_t> calls;
  module.walk([&](tape::CallOp call) { ++calls[call.getCallee()]; });
  out << llvm::formatv("\n{0,-56} {1,6} {2,16} {3,12}\n", "kernel", "calls", "grid", "scratch KiB");
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    FailureOr<codegen::KernelInfo> info = codegen::describeKernel(kernel);
    if (failed(info))
      return failure();
    std::string grid = llvm::formatv("{0} x {1} x {2}", info->grid[0], info->grid[1], info->grid[2]);
    out << llvm::formatv("{0,-56} {1,6} {2,16} {3,12:F1}\n", info->symbol, calls.lookup(info->symbol), grid,
                         info->scratchBytes / 1024.0);
  }
  return success();
}

LogicalResult explain(const CompileOptions &options, llvm::raw_ostream &out, llvm::raw_ostream &errors) {
  MLIRContext context;
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context, errors);
  auto module = lower(context, options, errors);
  if (failed(module))
    return failure();
  printHead(**module, out);
  printStorage(**module, out);
  printPrograms(**module, out);
  printMemory(**module, out);
  printSchedule(**module, out);
  return printKernels(**module, out);
}

} // namespace oriel::driver
