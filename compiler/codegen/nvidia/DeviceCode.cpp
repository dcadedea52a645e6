#include "compiler/codegen/nvidia/DeviceCode.h"

#include "dialects/tile/TileOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

/// The symbol without the words for the shape of a block ("wp8", "st4"), which the kernel itself tells: what was tried
/// under one name and is taken under another has the same code.
static std::string functionNameOf(tile::KernelOp kernel) {
  SmallVector<StringRef> words;
  kernel.getSymName().split(words, '_');
  llvm::erase_if(words, [](StringRef word) {
    return (word.consume_front("wp") || word.consume_front("st")) && !word.empty() && llvm::all_of(word, llvm::isDigit);
  });
  return llvm::join(words, "_");
}

/// A module with the kernel alone, under that name.
static OwningOpRef<ModuleOp> aloneUnderItsFunctionName(tile::KernelOp kernel) {
  OwningOpRef<ModuleOp> alone = ModuleOp::create(kernel.getLoc());
  auto clone = cast<tile::KernelOp>(OpBuilder::atBlockEnd(alone->getBody()).clone(*kernel));
  clone.setSymName(functionNameOf(kernel));
  return alone;
}

static std::string keyOfAlone(ModuleOp alone, const NvidiaTarget &target, const Ptxas &ptxas, const KernelStore &store) {
  return store.keyOf(*alone.getOps<tile::KernelOp>().begin(), {"cubin", describe(target), ptxas.build()});
}

std::string DeviceCompiler::keyOf(tile::KernelOp kernel) const {
  return keyOfAlone(*aloneUnderItsFunctionName(kernel), target_, ptxas_, store_);
}

static std::string ptxOf(ModuleOp alone, const NvidiaTarget &target, std::string &error) {
  SmallVector<NvidiaKernelInfo> infos;
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowerToNvvm(alone, target, infos);
  if (failed(lowered))
    return {}; // it has said why
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateToLlvm(**lowered, target, context);
  if (llvmModule)
    return emitPtx(*llvmModule, target, error);
  error = "it has no LLVM IR";
  return {};
}

FailureOr<DeviceCode> DeviceCompiler::compile(tile::KernelOp kernel) const {
  OwningOpRef<ModuleOp> alone = aloneUnderItsFunctionName(kernel);
  std::string key = keyOfAlone(*alone, target_, ptxas_, store_), function = functionNameOf(kernel);
  if (std::optional<KernelStore::Parts> kept = store_.find(key); kept && kept->size() == 3) {
    KernelStore::Parts &parts = *kept;
    return DeviceCode{function, parts[0], parts[1], resourcesOf(parts[0], parts[2])};
  }
  std::string error, ptx = ptxOf(*alone, target_, error);
  Assembly assembly;
  if (!ptx.empty() && ptxas_.isThere())
    assembly = ptxas_.assemble(ptx, target_.chip, error);
  if (!error.empty())
    return kernel.emitOpError("cannot become code for ") << target_.chip << ": " << error;
  if (ptx.empty())
    return failure();
  store_.keep(key, {ptx, assembly.cubin, assembly.report});
  return DeviceCode{function, ptx, assembly.cubin, resourcesOf(ptx, assembly.report)};
}

} // namespace oriel::codegen::nvidia
