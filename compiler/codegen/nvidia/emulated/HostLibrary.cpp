#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "compiler/codegen/cpu/Stages.h"
#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "compiler/codegen/nvidia/emulated/Retarget.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/Module.h"

namespace oriel::codegen::nvidia {

std::string emitHostLibrary(llvm::Module &module, const CpuTarget &host, const std::string &outputSo,
                            llvm::ArrayRef<CheckedKernel> checked) {
  if (!checked.empty())
    if (std::string unknown = announceAccesses(module, checked); !unknown.empty())
      return unknown;
  llvm::StripDebugInfo(module); // its lines are of no file
  if (std::string unknown = retargetToHost(module); !unknown.empty())
    return unknown;
  setTargetAttributes(module, host);
  std::string object = emitMachineCode(module, host, /*assembly=*/false);
  if (object.empty())
    return "this LLVM cannot generate x86-64 code";
  return linkSharedLibrary({object}, outputSo);
}

} // namespace oriel::codegen::nvidia
