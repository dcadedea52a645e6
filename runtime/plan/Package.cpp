// Loading: read, parse, compare checksums, check target and plan, in that order, so that the first error is the cause.
#include "runtime/plan/Package.h"

#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"
#include "runtime/plan/PlanCheck.h"
#include "runtime/plan/PlanFile.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>

namespace oriel::runtime {

static bool hasLaunches(const plan::Plan &plan) {
  return std::any_of(plan.entry_points().begin(), plan.entry_points().end(), [](const plan::EntryPoint &entry) {
    return std::any_of(entry.steps().begin(), entry.steps().end(), [](const plan::Step &s) { return s.has_launch(); });
  });
}

static bool hasConstants(const plan::Plan &plan) {
  return std::any_of(plan.buffers().begin(), plan.buffers().end(),
                     [](const plan::Buffer &buffer) { return buffer.placement() == plan::CONSTANT; });
}

static absl::Status compareChecksum(absl::string_view bytes, const std::string &expected, absl::string_view path) {
  std::string actual = hashHex(bytes);
  if (actual != expected)
    return absl::DataLossError(
        absl::StrCat(path, ": checksum is ", actual, ", plan.pb says ", expected, "; compile the package again"));
  return absl::OkStatus();
}

absl::Status checkHostFeatures(const plan::Target &target) {
  std::vector<std::string> missing;
  for (const std::string &feature : target.features())
    if (!hostCpuFeatures().count(feature))
      missing.push_back(feature);
  if (missing.empty())
    return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "package built for ", target.cpu(), " (needs ", absl::StrJoin(target.features(), " "), ") and this CPU, ",
      hostCpuName(), ", lacks ", absl::StrJoin(missing, " "), "; compile it again on this machine"));
}

static absl::Status compareFile(const std::string &path, const std::string &expected) {
  ORIEL_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  return compareChecksum(file.text(), expected, path);
}

absl::StatusOr<std::shared_ptr<const Package>> Package::load(const std::string &folder) {
  std::shared_ptr<Package> package(new Package());
  package->folder_ = folder;
  std::string planPath = folder + "/plan.pb";
  ORIEL_ASSIGN_OR_RETURN(std::string bytes, readFile(planPath));
  auto decoded = decodePlan(bytes);
  ORIEL_RETURN_IF_ERROR(withContext(decoded.status(), planPath));
  package->plan_ = std::move(*decoded);
  const plan::Plan &plan = package->plan_;

  if (hasConstants(plan)) {
    std::string path = folder + "/constants.bin";
    ORIEL_ASSIGN_OR_RETURN(package->constants_, MappedFile::open(path));
    ORIEL_RETURN_IF_ERROR(compareChecksum(package->constants_.text(), plan.constants_checksum(), path));
  }
  ORIEL_RETURN_IF_ERROR(withContext(checkPlan(plan, package->constants().size()), planPath));
  if (plan.target().kind() == "cpu")
    ORIEL_RETURN_IF_ERROR(withContext(checkHostFeatures(plan.target()), folder));
  if (hasLaunches(plan)) {
    package->kernelsStem_ = folder + "/kernels";
    if (plan.target().kind() == "cpu" || !plan.kernels_checksum().empty())
      ORIEL_RETURN_IF_ERROR(compareFile(folder + "/kernels.so", plan.kernels_checksum()));
    for (const plan::DeviceCode &code : plan.device_code())
      ORIEL_RETURN_IF_ERROR(compareFile(folder + "/" + code.file(), code.checksum()));
  }
  return package;
}

const plan::EntryPoint *Package::findEntry(absl::string_view name) const {
  auto it = std::find_if(plan_.entry_points().begin(), plan_.entry_points().end(),
                         [&](const plan::EntryPoint &entry) { return entry.name() == name; });
  return it == plan_.entry_points().end() ? nullptr : &*it;
}

const plan::Buffer *Package::findBuffer(absl::string_view name) const {
  auto it = std::find_if(plan_.buffers().begin(), plan_.buffers().end(),
                         [&](const plan::Buffer &buffer) { return buffer.name() == name; });
  return it == plan_.buffers().end() ? nullptr : &*it;
}

} // namespace oriel::runtime
