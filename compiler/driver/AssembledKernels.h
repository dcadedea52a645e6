// What kernels take of a GPU, from ptxas -v: asked while schedules are chosen (transforms/KernelProbe.h).
//
// A kernel is assembled once: the answer is kept in memory, and in a file of runtime/base/CacheFolder.h. The key has the
// kernel's text, the chip, the version of ptxas and the hash of this program, whose code generator made the PTX.
#ifndef ORIEL_COMPILER_DRIVER_ASSEMBLEDKERNELS_H
#define ORIEL_COMPILER_DRIVER_ASSEMBLEDKERNELS_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/transforms/KernelProbe.h"

#include <map>
#include <memory>
#include <string>

namespace oriel::driver {

class AssembledKernels final : public transforms::KernelProbe {
public:
  /// Null where there is no ptxas.
  static std::unique_ptr<AssembledKernels> create(const codegen::nvidia::NvidiaTarget &target);

  std::string name() const override { return name_; }
  transforms::KernelDemand plan(tile::KernelOp kernel) override;
  transforms::KernelDemand ask(tile::KernelOp kernel) override;

private:
  explicit AssembledKernels(const codegen::nvidia::NvidiaTarget &target) : target_(target) {}

  transforms::KernelDemand assembleAlone(tile::KernelOp kernel) const;

  codegen::nvidia::NvidiaTarget target_;
  std::string ptxas_, name_, program_; // program_: hash of this one
  std::string folder_;                 // of answers; empty: they are not kept
  std::map<std::string, transforms::KernelDemand> known_; // by key
};

/// An answer as a file of the cache has it: "threads 128 shared 51200 registers 168 spills 0 stages 3 wgmma 1", or "error " and why.
std::string printDemand(const transforms::KernelDemand &demand);
/// False where the text is no answer.
bool parseDemand(llvm::StringRef text, transforms::KernelDemand &demand);

} // namespace oriel::driver

#endif
