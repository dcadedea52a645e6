// The optimiser and machine code.
#include "compiler/codegen/host/EmitObject.h"

#include <mutex>

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"

namespace oriel::codegen {

static constexpr const char *tripleText = "x86_64-unknown-linux-gnu";

static std::string featureList(const CpuTarget &target) {
  std::string list;
  for (const std::string &feature : target.features)
    list += (list.empty() ? "+" : ",+") + feature;
  return list;
}

static std::unique_ptr<llvm::TargetMachine> createMachine(const CpuTarget &target) {
  static std::once_flag initialized;
  std::call_once(initialized, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  std::string error;
  const llvm::Target *x86 = llvm::TargetRegistry::lookupTarget(llvm::Triple(tripleText), error);
  if (!x86)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(x86->createTargetMachine(llvm::Triple(tripleText), "x86-64",
                                                                       featureList(target), options, llvm::Reloc::PIC_,
                                                                       std::nullopt, llvm::CodeGenOptLevel::Default));
}

void setTargetAttributes(llvm::Module &module, const CpuTarget &target) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    // Extensions by name, so that the code needs no more than the plan says; the CPU's name only tunes.
    function.addFnAttr("target-cpu", "x86-64");
    function.addFnAttr("tune-cpu", target.cpu);
    function.addFnAttr("target-features", featureList(target));
    function.addFnAttr("prefer-vector-width", std::to_string(target.lanes() * 32));
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
}

/// What vector code of this shape gains from; with the standard O2 list the whole compilation takes 1.4 times as long
/// and the code is no faster (codegen_cpu_bench). In a written list instcombine insists on a fixpoint after one round
/// and ends the process without one, unless told not to.
static constexpr const char *passList =
    "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse<memssa>,"
    "loop(indvars),instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm))";

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  tuning.LoopUnrolling = false; // the lowerings unroll where it pays; the rest should stay small
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  // No memset or memcpy may appear: the library links with nothing.
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, passList))
    llvm::report_fatal_error(std::move(error)); // the list is a constant of this file
  passes.run(module, modules);
}

/// The machine that the module is optimised for; null where LLVM has none.
static std::unique_ptr<llvm::TargetMachine> optimizeFor(llvm::Module &module, const CpuTarget &target) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target);
  if (!machine)
    return nullptr;
  module.setTargetTriple(llvm::Triple(tripleText));
  module.setDataLayout(machine->createDataLayout());
  optimize(module, *machine);
  return machine;
}

std::string printOptimized(llvm::Module &module, const CpuTarget &target) {
  if (!optimizeFor(module, target))
    return {};
  std::string text;
  llvm::raw_string_ostream(text) << module;
  return text;
}

std::string emitMachineCode(llvm::Module &module, const CpuTarget &target, bool assembly) {
  std::unique_ptr<llvm::TargetMachine> machine = optimizeFor(module, target);
  if (!machine)
    return {};
  llvm::SmallVector<char, 0> code;
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  auto kind = assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, kind))
    return {};
  passes.run(module);
  return std::string(code.begin(), code.end());
}

} // namespace oriel::codegen
