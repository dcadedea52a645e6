// The cache of compiled packages and the one place that starts orielc.
#include "trainer/loop/PackageCache.h"

#include "runtime/base/CacheFolder.h"
#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/base/TuningFiles.h"

#include "absl/strings/match.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace oriel::trainer {
namespace {

namespace fs = std::filesystem;
using runtime::Package;

absl::StatusOr<std::string> cacheFolder(const std::string &wanted) {
  std::string folder = wanted.empty() ? runtime::cacheFolder() : wanted;
  if (folder.empty())
    return absl::NotFoundError("no place for compiled packages: set ORIEL_CACHE or compile.cache");
  return folder;
}

absl::StatusOr<std::string> findCompiler(const std::string &wanted) {
  if (!wanted.empty())
    return wanted;
  absl::StatusOr<std::string> beside = runtime::findSiblingProgram("orielc", "ORIELC");
  if (beside.ok() || std::getenv("ORIELC"))
    return beside;
  std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::string candidate = path.substr(begin, end - begin) + "/orielc";
    if (access(candidate.c_str(), X_OK) == 0)
      return candidate;
    begin = end + 1;
  }
  return absl::NotFoundError("the compiler orielc is neither beside this program nor in $PATH (set compile.orielc)");
}

// A folder of the cache that is being written, gone when the scope ends. Its name tells no reader a key.
class ScratchFolder {
public:
  explicit ScratchFolder(const std::string &cache)
      : path_(fmt::format("{}/tmp-{}-{:x}", cache, getpid(),
                          std::hash<std::string>()(fmt::format("{}", runtime::monotonicSeconds())))) {}
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

// What orielc printed, without trailing newlines.
std::string diagnosticsOf(const runtime::ProcessResult &result) {
  std::string text = result.standardError.empty() ? result.standardOutput : result.standardError;
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text.empty() ? "no diagnostic was printed" : text;
}

// An error of the cache, not of what is compiled.
absl::Status cacheError(const std::string &cache, const absl::Status &status) {
  if (status.ok())
    return status;
  return absl::Status(
      status.code(),
      fmt::format("cannot write to {}, the cache of compiled packages: {}; make room there, or name another "
                  "folder by compile.cache or ORIEL_CACHE",
                  cache, std::string(status.message())));
}

// The compiler's diagnostics are at a place in the model, also where it is the package at `output` that could not be
// written.
absl::Status whyNotWritten(const std::string &diagnostics, const std::string &output) {
  if (!absl::StrContains(diagnostics, output))
    return absl::OkStatus();
  for (int error : {ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EIO, EFBIG})
    if (std::string reason = std::generic_category().message(error); absl::StrContains(diagnostics, reason))
      return absl::Status(absl::ErrnoToStatusCode(error), reason);
  // lld writes through a map, where a disk that has no room for a page is told by a signal.
  if (absl::StrContains(diagnostics, ::strsignal(SIGBUS)))
    return absl::ResourceExhaustedError("the linker died of a bus error, as it does on a full disk");
  return absl::OkStatus();
}

absl::Status runCompiler(const PackageRequest &request, const std::string &compiler, const std::string &model,
                         const std::string &cache, const std::string &output, runtime::Deadline deadline) {
  std::vector<std::string> command = {compiler,       model,
                                      "--batch",      std::to_string(request.batch),
                                      "--tokens",     std::to_string(request.tokens),
                                      "--world",      std::to_string(request.world),
                                      "--grad-slots", std::to_string(request.gradSlots),
                                      "--dtype",      request.dtype,
                                      "--target",     request.target,
                                      "-o",           output};
  if (request.cores > 0)
    command.insert(command.end(), {"--cores", std::to_string(request.cores)});
  if (!request.bucket.empty())
    command.insert(command.end(), {"--bucket", request.bucket});
  if (!request.scheduleFile.empty())
    command.insert(command.end(), {"--schedule", request.scheduleFile});
  if (request.memoryBudget != "auto")
    command.insert(command.end(), {"--memory-budget", request.memoryBudget});
  ORIEL_ASSIGN_OR_RETURN(runtime::ProcessResult result, runtime::runProcess(command, deadline));
  if (result.exitStatus == 0)
    return absl::OkStatus();
  ORIEL_RETURN_IF_ERROR(cacheError(cache, whyNotWritten(diagnosticsOf(result), output)));
  std::string shown = request.modelPath.empty() ? "the model text" : request.modelPath;
  if (result.exitStatus <= 2)
    return absl::InvalidArgumentError(fmt::format("orielc could not compile {}:\n{}", shown, diagnosticsOf(result)));
  return absl::InternalError(
      fmt::format("orielc died on {} (status {}):\n{}", shown, result.exitStatus, diagnosticsOf(result)));
}

// Moves a finished folder to its key. What was there (damaged, or another process's equal work) gives way.
absl::Status publish(const std::string &from, const std::string &to, const std::string &trash) {
  if (runtime::renameDurably(from, to).ok())
    return absl::OkStatus();
  std::error_code ignored;
  fs::rename(to, trash, ignored);
  return runtime::renameDurably(from, to);
}

} // namespace

absl::StatusOr<std::string> packageKey(const PackageRequest &request, const std::string &compiler) {
  runtime::Hasher hasher;
  hasher.addField("oriel package 1").addField(request.modelText);
  for (int64_t size : {request.batch, request.tokens, request.world, request.gradSlots})
    hasher.addField(std::to_string(size));
  hasher.addField(request.memoryBudget).addField(request.bucket);
  std::string schedule;
  if (!request.scheduleFile.empty()) {
    ORIEL_ASSIGN_OR_RETURN(schedule, runtime::readFile(request.scheduleFile));
  }
  runtime::TuningFiles tuning = runtime::findTuningFiles(); // as orielc finds them
  for (const std::string &file : {tuning.device, tuning.record}) {
    std::string text;
    if (!file.empty()) {
      ORIEL_ASSIGN_OR_RETURN(text, runtime::readFile(file));
    }
    hasher.addField(text);
  }
  ORIEL_ASSIGN_OR_RETURN(std::string compilerHash, runtime::hashFile(compiler));
  hasher.addField(request.dtype)
      .addField(request.target)
      .addField(std::to_string(request.cores > 0 ? request.cores : runtime::hostCores()))
      .addField(schedule)
      .addField(compilerHash)
      .addField(runtime::hostCpuName());
  for (const std::string &feature : runtime::hostCpuFeatures())
    hasher.addField(feature);
  return hasher.hex();
}

absl::StatusOr<CachedPackage> findOrCompile(const PackageRequest &request, runtime::Deadline deadline) {
  ORIEL_ASSIGN_OR_RETURN(std::string cache, cacheFolder(request.cacheDir));
  ORIEL_ASSIGN_OR_RETURN(std::string compiler, findCompiler(request.compiler));
  ORIEL_ASSIGN_OR_RETURN(std::string key, packageKey(request, compiler));
  std::string folder = cache + "/" + key;
  CachedPackage result;
  if (fs::exists(folder)) {
    absl::StatusOr<std::shared_ptr<const Package>> cached = Package::load(folder);
    if (cached.ok())
      return CachedPackage{*std::move(cached), "", false};
    result.rebuiltBecause = std::string(cached.status().message());
  }
  ScratchFolder scratch(cache);
  ORIEL_RETURN_IF_ERROR(cacheError(cache, runtime::makeFolders(scratch.path())));
  std::string model = request.modelPath;
  if (model.empty()) {
    model = scratch.path() + "/model.oriel";
    ORIEL_RETURN_IF_ERROR(cacheError(cache, runtime::writeFileAtomically(model, request.modelText)));
  }
  ORIEL_RETURN_IF_ERROR(runCompiler(request, compiler, model, cache, scratch.path() + "/package", deadline));
  ORIEL_RETURN_IF_ERROR(cacheError(cache, publish(scratch.path() + "/package", folder, scratch.path() + "/replaced")));
  ORIEL_ASSIGN_OR_RETURN(result.package, Package::load(folder));
  result.compiled = true;
  return result;
}

} // namespace oriel::trainer
