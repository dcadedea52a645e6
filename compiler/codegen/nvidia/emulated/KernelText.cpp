#include "compiler/codegen/nvidia/emulated/KernelText.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/LocationSnapshot.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

static CheckedKernel::Buffer describe(tile::KernelOp kernel, unsigned number) {
  auto type = cast<MemRefType>(kernel.getBuffers()[number].getType());
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return {text, type.getNumElements() * int64_t(type.getElementTypeBitWidth()) / 8,
          number >= kernel.getBuffers().size() - kernel.getNumOutputs()};
}

std::vector<CheckedKernel> locateInText(ModuleOp kernels) {
  std::vector<CheckedKernel> described;
  for (auto kernel : kernels.getOps<tile::KernelOp>()) {
    CheckedKernel &result = described.emplace_back();
    result.symbol = kernel.getSymName().str();
    for (unsigned i = 0; i < kernel.getBuffers().size(); ++i)
      result.buffers.push_back(describe(kernel, i));
    std::string text;
    llvm::raw_string_ostream stream(text);
    generateLocationsFromIR(stream, result.symbol, kernel, OpPrintingFlags());
    SmallVector<StringRef> lines;
    StringRef(text).split(lines, '\n');
    for (StringRef line : lines)
      result.lines.push_back(line.trim().str());
  }
  return described;
}

LogicalResult keepLocations(ModuleOp nvvm) {
  PassManager pm(nvvm.getContext());
  LLVM::DIScopeForLLVMFuncOpPassOptions options;
  options.emissionKind = LLVM::DIEmissionKind::None;
  pm.addPass(LLVM::createDIScopeForLLVMFuncOpPass(options));
  return pm.run(nvvm);
}

} // namespace oriel::codegen::nvidia
