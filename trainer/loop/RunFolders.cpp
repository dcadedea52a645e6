#include "trainer/loop/RunFolders.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "trainer/config/JobConfig.h"
#include "trainer/loop/RunLock.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace oriel::trainer {
namespace {

/// Of a folder that need not exist: looks at the nearest one at or above it that does.
absl::Status checkWritable(const std::string &folder) {
  std::string there = folder;
  struct stat info;
  while (::stat(there.c_str(), &info) != 0) {
    std::string above = runtime::folderOf(there);
    if ((errno != ENOENT && errno != ENOTDIR) || above == there)
      return runtime::errnoStatus(there);
    there = above;
  }
  if (!S_ISDIR(info.st_mode))
    return absl::FailedPreconditionError(there + " is no folder");
  if (::faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return runtime::errnoStatus("cannot write to " + there);
  return absl::OkStatus();
}

/// The same as an error of the key that names the folder.
absl::Status checkWritable(const char *key, const std::string &folder) {
  absl::Status status = checkWritable(folder);
  return status.ok() ? status
                     : absl::Status(status.code(),
                                    fmt::format("{}: {}; name another folder", key, std::string(status.message())));
}

} // namespace

absl::Status checkRunFolders(const Job &job, const CheckpointStore &store) {
  ORIEL_RETURN_IF_ERROR(checkWritable("run_dir", job.run_dir()));
  ORIEL_RETURN_IF_ERROR(checkWritable("checkpoint.dir", store.dir()));
  ORIEL_RETURN_IF_ERROR(checkWritable("metrics.dir", metricsDir(job)));
  ORIEL_RETURN_IF_ERROR(runtime::withContext(RunLock::check(job.run_dir()), "run_dir"));
  return refuseToMixRuns(job, store);
}

absl::Status refuseToMixRuns(const Job &job, const CheckpointStore &store) {
  std::vector<int64_t> steps = store.steps();
  if (job.training().resume() || steps.empty())
    return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "training.resume is false, but {} holds checkpoints of an earlier run (the newest: step {}): name another "
      "run_dir, or move them away",
      store.dir(), steps.back()));
}

} // namespace oriel::trainer
