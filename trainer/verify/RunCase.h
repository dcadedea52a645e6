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

struct NamedComparison {
  std::string tensor;
  Comparison comparison;
};

/// One comparison per expected tensor that has values. `folder` gets case.mlir and package/. `compiler` is the path of
/// orielc. Errors: what orielc printed (FailedPrecondition); what is wrong with the package or its interface.
absl::StatusOr<std::vector<NamedComparison>> runCase(const GoldenCase &golden, runtime::Device &device,
                                                     const std::string &compiler, const std::string &folder);

} // namespace oriel::trainer

#endif
