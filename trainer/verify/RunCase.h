// Runs a golden case as a user's model would run: its lm text is compiled by orielc to a package, the package is
// loaded, and its entry `vjp` runs on a device.
#ifndef ORIEL_TRAINER_VERIFY_RUNCASE_H
#define ORIEL_TRAINER_VERIFY_RUNCASE_H

#include "runtime/device/Device.h"
#include "trainer/verify/Compare.h"
#include "trainer/verify/GoldenCase.h"

#include "absl/status/statusor.h"

#include <string>
#include <vector>

namespace oriel::trainer {

/// Where and how a text runs.
struct TextRun {
  runtime::Device *device;                  // not needed to compile
  std::string compiler;                     // path of orielc; empty: the packages are in the folder already
  std::string folder;                       // gets case.mlir and the package
  std::vector<std::string> compilerOptions; // beside the input and the output
  std::string package = "package";          // its name: another one for other code, as Device::loadKernels asks
  double leastTolerance = 0;                // of the device's products; smaller ones of a case are raised to it
};

/// Compiles an lm module with lm.vjp and runs its entry `vjp` on the arguments of the function and its cotangents.
/// Returns the results of the function, then the gradients. Errors: what orielc printed (FailedPrecondition); what is
/// wrong with the package or its interface.
absl::StatusOr<std::vector<std::vector<float>>> runText(const std::string &text,
                                                        const std::vector<GoldenTensor> &arguments, const TextRun &how);

struct NamedComparison {
  std::string tensor;
  Comparison comparison;
};

/// One comparison per expected tensor that has values. Errors are those of runText.
absl::StatusOr<std::vector<NamedComparison>> runCase(const GoldenCase &golden, const TextRun &how);

/// Only compiles what runCase or, with `bf16`, runCaseInBf16 would run.
absl::Status compileCase(const GoldenCase &golden, const TextRun &how, bool bf16);

/// The same as runCase for bf16 kernels. First the f32 kernels must give the golden values; if they do not, their
/// comparisons are returned. Then bf16 kernels are held to what the f32 kernels give for the same arguments rounded to
/// bf16, within 1e-2: the rounding of arguments is no error of a kernel, and alone may change a gradient by more than
/// that (by 3e-2 in attention/c04_cap_full, whose scores are large).
/// Where f32 products are rounded (leastTolerance), the golden values are asked of f32 kernels within 1e-2, too: that
/// is enough to measure bf16 by them.
absl::StatusOr<std::vector<NamedComparison>> runCaseInBf16(const GoldenCase &golden, const TextRun &how);

} // namespace oriel::trainer

#endif
