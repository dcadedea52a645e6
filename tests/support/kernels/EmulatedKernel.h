// One tile kernel as NVIDIA code, run by the emulator. For KernelRunner.
#ifndef ORIEL_TESTS_SUPPORT_KERNELS_EMULATEDKERNEL_H
#define ORIEL_TESTS_SUPPORT_KERNELS_EMULATEDKERNEL_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/device/cuda/emulated/GridRunner.h"
#include "runtime/device/cuda/emulated/KernelObject.h"
#include <memory>
#include <string>
#include <vector>

namespace oriel::testing {

class EmulatedKernel {
public:
  /// Compiles the only kernel of `module` for sm_80; `path` is where its library is written. Null after a failure,
  /// which is reported to GoogleTest.
  static std::unique_ptr<EmulatedKernel> compile(mlir::ModuleOp module, const std::string &path);

  /// Runs the whole grid. Failures are reported to GoogleTest. The order of threads is another one at each call.
  void run(const std::vector<void *> &buffers) const;

private:
  std::unique_ptr<runtime::emulated::KernelObject> library_;
  const runtime::emulated::KernelEntry *entry_ = nullptr;
  runtime::emulated::LaunchShape shape_;
};

} // namespace oriel::testing

#endif
