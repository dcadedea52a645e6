#include "trainer/loop/RunLock.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace oriel::trainer {

absl::StatusOr<RunLock> RunLock::take(const std::string &runDir) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runDir));
  std::string path = runDir + "/lock";
  int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0)
    return runtime::errnoStatus(path);
  RunLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    ssize_t length = ::pread(descriptor, holder, sizeof holder - 1, 0);
    std::string who(holder, length > 0 ? static_cast<size_t>(length) : 0);
    return absl::AlreadyExistsError(fmt::format("{} is in use by another run (process {}): wait for it, end it, or name another run_dir", runDir, who));
  }
  std::string self = std::to_string(getpid());
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, self.data(), self.size(), 0) < 0)
    return runtime::errnoStatus(path);
  return lock;
}

RunLock::~RunLock() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

} // namespace oriel::trainer
