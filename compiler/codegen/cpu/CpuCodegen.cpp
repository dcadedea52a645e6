// Drives the stages.
#include "compiler/codegen/cpu/CpuCodegen.h"

#include "compiler/codegen/cpu/Lowering.h"
#include "compiler/codegen/cpu/Stages.h"
#include "mlir/IR/Threading.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen {

FailureOr<KernelInfo> describeKernel(tile::KernelOp kernel) {
  ArrayRef<int64_t> grid = kernel.getGrid();
  return KernelInfo{kernel.getSymName().str(), {grid[0], grid[1], grid[2]}, ScratchPlan::compute(kernel).bytes()};
}

/// Modules of whole kernels that are compiled side by side. Their number is fixed, so that the library's bytes do not
/// depend on the machine; kernels go, largest first, to the module that has least.
static constexpr size_t partCount = 4;

struct Part {
  SmallVector<tile::KernelOp> kernels;
  int64_t ops = 0;
  OwningOpRef<ModuleOp> lowered;
  std::string code;
};

static std::vector<Part> divide(ModuleOp module, size_t count) {
  SmallVector<std::pair<int64_t, tile::KernelOp>> kernels;
  module.walk([&](tile::KernelOp kernel) {
    int64_t ops = 0;
    kernel->walk([&](Operation *) { ++ops; });
    kernels.push_back({ops, kernel});
    return WalkResult::skip();
  });
  llvm::stable_sort(kernels, [](const auto &a, const auto &b) { return a.first > b.first; });
  std::vector<Part> parts(std::max<size_t>(1, std::min(count, kernels.size())));
  for (auto &[ops, kernel] : kernels) {
    Part &least = *llvm::min_element(parts, [](const Part &a, const Part &b) { return a.ops < b.ops; });
    least.kernels.push_back(kernel);
    least.ops += ops;
  }
  return parts;
}

/// A new module with one function per kernel.
static LogicalResult lowerPart(Part &part, ModuleOp module, const CpuTarget &target) {
  part.lowered = ModuleOp::create(module.getLoc());
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(part.lowered->getBody());
  for (tile::KernelOp kernel : part.kernels)
    if (failed(lowerKernel(kernel, ScratchPlan::compute(kernel), target, builder)))
      return failure();
  return success();
}

static LogicalResult generate(Part &part, ModuleOp module, const CpuTarget &target, bool assembly) {
  if (failed(lowerPart(part, module, target)) || failed(lowerToLlvmDialect(*part.lowered)))
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(*part.lowered, target, context);
  if (!llvmModule)
    return failure();
  part.code = emitMachineCode(*llvmModule, target, assembly);
  if (part.code.empty())
    return module.emitError("this LLVM cannot generate x86-64 code");
  return success();
}

LogicalResult compileKernels(ModuleOp module, const CpuTarget &target, StringRef outputSo) {
  prepareContext(*module.getContext());
  std::vector<Part> parts = divide(module, partCount);
  if (failed(failableParallelForEach(module.getContext(), parts,
                                     [&](Part &part) { return generate(part, module, target, /*assembly=*/false); })))
    return failure();
  SmallVector<StringRef> objects;
  for (const Part &part : parts)
    objects.push_back(part.code);
  std::string error = linkSharedLibrary(objects, outputSo);
  if (!error.empty())
    return module.emitError("cannot link ") << outputSo << ": " << error;
  return success();
}

FailureOr<std::string> printStage(ModuleOp module, const CpuTarget &target, StringRef stage) {
  prepareContext(*module.getContext());
  Part whole = std::move(divide(module, 1).front());
  if (stage == "asm") {
    if (failed(generate(whole, module, target, /*assembly=*/true)))
      return failure();
    return whole.code;
  }
  if (failed(lowerPart(whole, module, target)) || (stage == "llvm" && failed(lowerToLlvmDialect(*whole.lowered))))
    return failure();
  std::string text;
  llvm::raw_string_ostream stream(text);
  whole.lowered->print(stream);
  return text;
}

} // namespace oriel::codegen
