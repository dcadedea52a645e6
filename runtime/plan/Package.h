// A package on disk, loaded and checked: plan.pb, kernels.so, constants.bin (see plan.proto).
//
// `load` is the only way in, so whoever holds a Package may trust it: format version, checksums, CPU features, and
// every index, offset and size of the plan were checked (PlanCheck.h). Nothing here runs code of kernels.so.
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

  /// The path of kernels.so; empty when the plan has no launches.
  const std::string &kernelsPath() const { return kernelsPath_; }
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
  std::string kernelsPath_;
  MappedFile constants_;
};

/// FailedPrecondition with the missing features unless this machine runs code for `target`.
absl::Status checkTarget(const plan::Target &target);

} // namespace oriel::runtime

#endif
