#include "trainer/metrics/AppendFile.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include <fcntl.h>
#include <unistd.h>

namespace oriel::trainer {

absl::StatusOr<AppendFile> AppendFile::open(const std::string &path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0)
    return runtime::errnoStatus(path);
  return AppendFile(path, descriptor);
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

absl::Status AppendFile::append(std::string_view record) {
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  if (end < 0)
    return runtime::errnoStatus(path_);
  absl::Status status = runtime::writeFully(descriptor_, {record.data(), record.size()}, path_);
  if (!status.ok() && ::ftruncate(descriptor_, end) != 0)
    return runtime::errnoStatus(path_ + ": a torn record cannot be taken back");
  return status;
}

} // namespace oriel::trainer
