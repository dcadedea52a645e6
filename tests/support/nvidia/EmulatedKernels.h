// Tile kernels as NVIDIA code in tests: lowered, perhaps changed by the test, compiled for the emulator and launched.
#ifndef ORIEL_TESTS_SUPPORT_NVIDIA_EMULATEDKERNELS_H
#define ORIEL_TESTS_SUPPORT_NVIDIA_EMULATEDKERNELS_H

#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "compiler/codegen/nvidia/emulated/KernelText.h"
#include "runtime/device/cuda/emulated/GridRunner.h"
#include "runtime/device/cuda/emulated/KernelObject.h"

#include "absl/status/statusor.h"

#include <memory>
#include <string>
#include <vector>

namespace oriel::testing {

/// Kernels in the LLVM dialect, with what a launch and the checks want to know of them.
struct LoweredKernels {
  mlir::OwningOpRef<mlir::ModuleOp> nvvm; // null where lowering has failed
  codegen::nvidia::NvidiaTarget target;
  std::vector<codegen::nvidia::NvidiaKernelInfo> kernels;
  std::vector<codegen::nvidia::CheckedKernel> checked; // in the same order; empty: compile without checks

  /// The module as text, with its locations.
  std::string text() const;
  std::string ptx() const;
};

/// `withChecks` replaces the locations of `module` by places in its text, which checks tell.
LoweredKernels lowerForNvidia(mlir::ModuleOp module, const codegen::nvidia::NvidiaTarget &target,
                              bool withChecks = false);

class EmulatedKernels {
public:
  static absl::StatusOr<std::unique_ptr<EmulatedKernels>> compile(const LoweredKernels &lowered);
  /// Of tile kernels as they are: as orielc does, each compiled once.
  static absl::StatusOr<std::unique_ptr<EmulatedKernels>> compile(mlir::ModuleOp kernels,
                                                                  const codegen::nvidia::HostTarget &target);

  /// Runs the whole grid of kernel `index`; `buffers` in the kernel's order. `seed` shuffles the threads. What is wrong
  /// by the checks of a kernel that was compiled with them is in the status; `report` gets the rest, with traces of its
  /// blocks if `keepTraces`.
  absl::Status launch(size_t index, const std::vector<void *> &buffers, uint64_t seed,
                      runtime::emulated::LaunchReport *report = nullptr, bool keepTraces = false) const;

private:
  static absl::StatusOr<std::unique_ptr<EmulatedKernels>> load(const std::string &path,
                                                               std::vector<codegen::nvidia::NvidiaKernelInfo> infos);

  std::vector<codegen::nvidia::NvidiaKernelInfo> kernels_;
  std::unique_ptr<runtime::emulated::KernelObject> library_;
};

} // namespace oriel::testing

#endif
