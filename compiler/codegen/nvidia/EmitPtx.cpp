// LLVM dialect → LLVM IR for NVPTX → PTX text.
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Vectorize/LoadStoreVectorizer.h"
#include <mutex>

namespace oriel::codegen::nvidia {

static std::unique_ptr<llvm::TargetMachine> targetMachine(const NvidiaTarget &target, std::string &error) {
  static std::once_flag initialized;
  std::call_once(initialized, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.chip, target.features, llvm::TargetOptions(), std::nullopt,
                                 std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp nvvm, const NvidiaTarget &target,
                                              llvm::LLVMContext &context) {
  prepareContext(*nvvm.getContext());
  std::unique_ptr<llvm::Module> module = mlir::translateModuleToLLVMIR(nvvm, context, "kernels");
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = targetMachine(target, error);
  if (!module || !machine)
    return nullptr;
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(machine.get());
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(components);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, components, modules);
  // The code generator joins neighbouring loads and stores anyway; here the emulator sees it too.
  passes.registerOptimizerLastEPCallback(
      [](llvm::ModulePassManager &last, llvm::OptimizationLevel, llvm::ThinOrFullLTOPhase) {
        last.addPass(llvm::createModuleToFunctionPassAdaptor(llvm::LoadStoreVectorizerPass()));
      });
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(*module, modules);
  return module;
}

std::string emitPtx(llvm::Module &module, const NvidiaTarget &target, std::string &error) {
  std::unique_ptr<llvm::TargetMachine> machine = targetMachine(target, error);
  if (!machine)
    return {};
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, stream, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
    error = "the NVPTX target of this LLVM cannot print assembly";
    return {};
  }
  codegen.run(module);
  return std::string(text);
}

} // namespace oriel::codegen::nvidia
