#include "compiler/driver/WritePackage.h"
#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/conversion/tapeToPlan/BuildPlan.h"
#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"
#include "runtime/plan/PlanFile.h"
#include "llvm/ADT/StringMap.h"
#include <filesystem>
#include <unistd.h>

using namespace mlir;
namespace fs = std::filesystem;

namespace oriel::driver {

static FailureOr<llvm::StringMap<uint64_t>> scratchOfKernels(ModuleOp module) {
  llvm::StringMap<uint64_t> scratch;
  for (auto kernel : module.getOps<tile::KernelOp>()) {
    FailureOr<codegen::KernelInfo> info = codegen::describeKernel(kernel);
    if (failed(info))
      return failure();
    scratch[info->symbol] = info->scratchBytes;
  }
  return scratch;
}

static plan::Target planTarget(const codegen::CpuTarget &target) {
  plan::Target result;
  result.set_kind("cpu");
  result.set_cpu(target.cpu);
  for (const std::string &feature : target.features)
    result.add_features(feature);
  return result;
}

/// A directory that is removed unless it was renamed away.
class TemporaryFolder {
public:
  explicit TemporaryFolder(const std::string &beside) : path_(beside + ".tmp-" + std::to_string(getpid())) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

static absl::Status writeFiles(const std::string &folder, plan::Plan &plan, const std::vector<char> &constants,
                               bool hasKernels) {
  absl::string_view bytes(constants.data(), constants.size());
  if (!constants.empty())
    ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(folder + "/constants.bin", bytes));
  if (hasKernels) {
    ORIEL_ASSIGN_OR_RETURN(std::string checksum, runtime::hashFile(folder + "/kernels.so"));
    plan.set_kernels_checksum(checksum);
  }
  return runtime::writeFileAtomically(folder + "/plan.pb", runtime::encodePlan(plan));
}

/// The old package, if any, is moved aside first: rename(2) does not replace a directory that has files.
static absl::Status moveIntoPlace(const std::string &from, const std::string &to) {
  std::error_code error;
  TemporaryFolder old(to + ".old");
  if (fs::exists(to, error))
    fs::rename(to, old.path(), error);
  if (error)
    return absl::InternalError("cannot move the old package " + to + " aside: " + error.message());
  return runtime::renameDurably(from, to);
}

LogicalResult writePackage(ModuleOp module, const codegen::CpuTarget &target, const std::string &modelText,
                           const std::string &output, llvm::raw_ostream &errors) {
  auto report = [&](const absl::Status &status) -> LogicalResult {
    if (status.ok())
      return success();
    errors << "orielc: " << std::string(status.message()) << "\n";
    return failure();
  };
  std::string place = fs::path(output).lexically_normal().string();
  while (place.size() > 1 && place.back() == '/')
    place.pop_back();
  TemporaryFolder folder(place);
  if (failed(report(runtime::makeFolders(folder.path()))))
    return failure();

  auto scratch = scratchOfKernels(module);
  if (failed(scratch))
    return failure();
  bool hasKernels = !scratch->empty();
  if (hasKernels && failed(codegen::compileKernels(module, target, folder.path() + "/kernels.so")))
    return failure();
  conversion::PlanOptions options;
  options.scratchBytes = [&](llvm::StringRef symbol) { return scratch->lookup(symbol); };
  options.target = planTarget(target);
  options.producer = std::string("orielc ") + ORIEL_VERSION;
  options.modelText = modelText;
  auto artifact = conversion::buildPlan(module, options);
  if (failed(artifact))
    return failure();
  if (failed(report(writeFiles(folder.path(), artifact->plan, artifact->constants, hasKernels))))
    return failure();
  return report(moveIntoPlace(folder.path(), place));
}

} // namespace oriel::driver
