#include "compiler/driver/WritePackage.h"
#include "compiler/conversion/tapeToPlan/BuildPlan.h"
#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"
#include "runtime/plan/PlanFile.h"
#include <filesystem>
#include <unistd.h>

using namespace mlir;
namespace fs = std::filesystem;

namespace oriel::driver {

/// A folder beside the package, in the same file system, that is removed unless it was renamed away.
class FolderBeside {
public:
  explicit FolderBeside(const std::string &beside) : path_(beside + ".tmp-" + std::to_string(getpid())) {}
  ~FolderBeside() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

static absl::Status writeFiles(const std::string &folder, plan::Plan &plan, const std::vector<char> &constants,
                               const KernelCode &code, const CodeTarget &target) {
  absl::string_view bytes(constants.data(), constants.size());
  if (!constants.empty())
    ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(folder + "/constants.bin", bytes));
  if (!code.launches.empty() && target.hasHostCode()) {
    ORIEL_ASSIGN_OR_RETURN(std::string checksum, runtime::hashFile(folder + "/kernels.so"));
    plan.set_kernels_checksum(checksum);
  }
  for (const plan::DeviceCode &file : code.deviceCode) {
    plan::DeviceCode *listed = plan.add_device_code();
    *listed = file;
    ORIEL_ASSIGN_OR_RETURN(*listed->mutable_checksum(), runtime::hashFile(folder + "/" + file.file()));
  }
  return runtime::writeFileAtomically(folder + "/plan.pb", runtime::encodePlan(plan));
}

/// The old package, if any, is moved aside first: rename(2) does not replace a directory that has files.
static absl::Status moveIntoPlace(const std::string &from, const std::string &to) {
  std::error_code error;
  FolderBeside old(to + ".old");
  if (fs::exists(to, error))
    fs::rename(to, old.path(), error);
  if (error)
    return absl::InternalError("cannot move the old package " + to + " aside: " + error.message());
  return runtime::renameDurably(from, to);
}

LogicalResult writePackage(ModuleOp module, const CodeTarget &target, const std::string &modelText,
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
  FolderBeside folder(place);
  if (failed(report(runtime::makeFolders(folder.path()))))
    return failure();

  FailureOr<KernelCode> code = compileKernelCode(module, target, folder.path());
  if (failed(code))
    return failure();
  conversion::PlanOptions options;
  options.launchFacts = [&](llvm::StringRef symbol) { return code->launches.lookup(symbol); };
  options.target = planTarget(target);
  options.producer = std::string("orielc ") + ORIEL_VERSION;
  options.modelText = modelText;
  auto artifact = conversion::buildPlan(module, options);
  if (failed(artifact))
    return failure();
  if (failed(report(writeFiles(folder.path(), artifact->plan, artifact->constants, *code, target))))
    return failure();
  return report(moveIntoPlace(folder.path(), place));
}

} // namespace oriel::driver
