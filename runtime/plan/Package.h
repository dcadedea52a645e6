// A package on disk, loaded and checked: plan.pb, its kernels, constants.bin (see plan.proto).
//
// `load` is the only way in, so whoever holds a Package may trust it: format version, checksums, and every index,
// offset and size of the plan were checked (PlanCheck.h), of a package for the CPU also that this one has its features.
// Whether a device runs the target is the device's word (Device::loadKernels). Nothing here runs code of a package.
#ifndef ORIEL_RUNTIME_PLAN_PACKAGE_H
#define ORIEL_RUNTIME_PLAN_PACKAGE_H

#include "runtime/base/Files.h"
#include "runtime/plan/plan.pb.h"

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <memory>
#include <string>

namespace oriel::runtime {

class Package {
public:
  /// Errors: NotFound (no plan.pb), InvalidArgument (malformed, or of another format version), DataLoss (checksum),
  /// FailedPrecondition (built for a CPU with features that this one lacks: compile again on this machine).
  static absl::StatusOr<std::shared_ptr<const Package>> load(const std::string &folder);

  const plan::Plan &plan() const { return plan_; }
  const std::string &folder() const { return folder_; }

  /// The path of the kernels without its suffix, for Device::loadKernels; empty when the plan has no launches.
  const std::string &kernelsStem() const { return kernelsStem_; }
  /// constants.bin, mapped. Empty when the plan has no constants.
  absl::Span<const std::byte> constants() const { return constants_.bytes(); }

  /// The entry point of that name, or null.
  const plan::EntryPoint *findEntry(absl::string_view name) const;
  /// The buffer of that name, or null.
  const plan::Buffer *findBuffer(absl::string_view name) const;

private:
  Package() = default;

  std::string folder_;
  plan::Plan plan_;
  std::string kernelsStem_;
  MappedFile constants_;
};

/// FailedPrecondition with the missing features unless this machine runs the kernels.so of `target`.
absl::Status checkHostFeatures(const plan::Target &target);

} // namespace oriel::runtime

#endif
