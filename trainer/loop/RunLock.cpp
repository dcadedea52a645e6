#include "trainer/loop/RunLock.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace oriel::trainer {
namespace {

std::string lockPath(const std::string &runDir) { return runDir + "/lock"; }

} // namespace

absl::StatusOr<RunLock> RunLock::take(const std::string &runDir) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runDir));
  ORIEL_ASSIGN_OR_RETURN(RunLock lock, open(runDir, O_CREAT));
  ORIEL_RETURN_IF_ERROR(lock.hold(runDir, LOCK_EX));
  std::string self = std::to_string(getpid());
  if (::ftruncate(lock.descriptor_, 0) != 0 || ::pwrite(lock.descriptor_, self.data(), self.size(), 0) < 0)
    return runtime::errnoStatus(lockPath(runDir));
  return lock;
}

absl::Status RunLock::check(const std::string &runDir) {
  absl::StatusOr<RunLock> lock = open(runDir, 0);
  if (absl::IsNotFound(lock.status()))
    return absl::OkStatus();
  ORIEL_RETURN_IF_ERROR(lock.status());
  return lock->hold(runDir, LOCK_SH); // shared: two that only look do not see each other
}

absl::StatusOr<RunLock> RunLock::open(const std::string &runDir, int flags) {
  std::string path = lockPath(runDir);
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
  if (descriptor < 0)
    return runtime::errnoStatus(path);
  return RunLock(descriptor);
}

absl::Status RunLock::hold(const std::string &runDir, int kind) const {
  if (::flock(descriptor_, kind | LOCK_NB) == 0)
    return absl::OkStatus();
  char holder[32] = {};
  ssize_t length = ::pread(descriptor_, holder, sizeof holder - 1, 0);
  std::string who(holder, length > 0 ? static_cast<size_t>(length) : 0);
  return absl::AlreadyExistsError(fmt::format(
      "{} is in use by another run (process {}): wait for it, end it, or name another run_dir", runDir, who));
}

RunLock::~RunLock() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

} // namespace oriel::trainer
