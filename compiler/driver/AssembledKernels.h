// What kernels take of a GPU, from ptxas -v: asked while schedules are chosen (transforms/KernelProbe.h). A package of the
// kernels that are chosen gets the code that was assembled to answer (codegen/nvidia/DeviceCode.h).
#ifndef ORIEL_COMPILER_DRIVER_ASSEMBLEDKERNELS_H
#define ORIEL_COMPILER_DRIVER_ASSEMBLEDKERNELS_H

#include "compiler/codegen/nvidia/DeviceCode.h"
#include "compiler/transforms/KernelProbe.h"

#include <map>
#include <memory>
#include <string>

namespace oriel::driver {

class AssembledKernels final : public transforms::KernelProbe {
public:
  /// Null where there is no ptxas.
  static std::unique_ptr<AssembledKernels> create(const codegen::nvidia::NvidiaTarget &target);

  std::string name() const override { return "ptxas-" + compiler_.ptxas().version(); }
  transforms::KernelDemand plan(tile::KernelOp kernel) override;
  transforms::KernelDemand ask(tile::KernelOp kernel) override;

private:
  explicit AssembledKernels(const codegen::nvidia::NvidiaTarget &target);

  codegen::nvidia::DeviceCompiler compiler_;
  std::map<std::string, transforms::KernelDemand> known_; // by DeviceCompiler::keyOf
};

} // namespace oriel::driver

#endif
