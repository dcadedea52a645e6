// POSIX file work with every return value looked at.
#include "runtime/base/Files.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace oriel::runtime {

namespace {

/// Closes on every path out of a function.
class Descriptor {
public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor &) = delete;
  ~Descriptor() {
    if (value_ >= 0)
      ::close(value_);
  }
  int get() const { return value_; }
  /// close() with its result, which is where some file systems report a failed write.
  int close() {
    int result = ::close(value_);
    value_ = -1;
    return result;
  }

private:
  int value_;
};

absl::StatusOr<size_t> regularFileSize(int descriptor, const std::string &path) {
  struct stat info;
  if (::fstat(descriptor, &info) != 0)
    return errnoStatus(absl::StrCat("stat ", path));
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  return static_cast<size_t>(info.st_size);
}

} // namespace

absl::StatusOr<std::string> readFile(const std::string &path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    return errnoStatus(absl::StrCat("open ", path));
  ORIEL_ASSIGN_OR_RETURN(size_t size, regularFileSize(file.get(), path));
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t count = ::read(file.get(), bytes.data() + done, size - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errnoStatus(absl::StrCat("read ", path));
    if (count == 0)
      return absl::DataLossError(absl::StrCat(path, ": became shorter while it was read"));
    done += static_cast<size_t>(count);
  }
  return bytes;
}

absl::Status writeFully(int descriptor, absl::string_view bytes, const std::string &path) {
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errnoStatus(absl::StrCat("write ", path));
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status syncPath(const std::string &path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    return errnoStatus(absl::StrCat("open ", path));
  if (::fsync(file.get()) != 0)
    return errnoStatus(absl::StrCat("fsync ", path));
  return absl::OkStatus();
}

static absl::Status renameFile(const std::string &from, const std::string &to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return errnoStatus(absl::StrCat("rename ", from, " to ", to));
  return absl::OkStatus();
}

enum class Durable { No, Yes };

static absl::Status writeNew(const std::string &path, absl::string_view bytes, Durable durable) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0)
    return errnoStatus(absl::StrCat("create ", path));
  ORIEL_RETURN_IF_ERROR(writeFully(file.get(), bytes, path));
  if (durable == Durable::Yes && ::fsync(file.get()) != 0)
    return errnoStatus(absl::StrCat("fsync ", path));
  if (file.close() != 0)
    return errnoStatus(absl::StrCat("close ", path));
  return absl::OkStatus();
}

/// By way of a file beside it, which every call has for itself.
static absl::Status replace(const std::string &path, absl::string_view bytes, Durable durable) {
  static std::atomic<int> calls = 0;
  std::string temporary = absl::StrCat(path, ".tmp.", ::getpid(), ".", calls++);
  absl::Status status = writeNew(temporary, bytes, durable);
  if (status.ok())
    status = durable == Durable::Yes ? renameDurably(temporary, path) : renameFile(temporary, path);
  if (!status.ok())
    ::unlink(temporary.c_str());
  return status;
}

absl::Status writeFileAtomically(const std::string &path, absl::string_view bytes) {
  return replace(path, bytes, Durable::Yes);
}

absl::Status replaceFile(const std::string &path, absl::string_view bytes) {
  return replace(path, bytes, Durable::No);
}

absl::Status makeFolders(const std::string &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return absl::ErrnoToStatus(error.value(), absl::StrCat("make folder ", path));
  return absl::OkStatus();
}

absl::Status renameDurably(const std::string &from, const std::string &to) {
  ORIEL_RETURN_IF_ERROR(renameFile(from, to));
  return syncPath(folderOf(to));
}

std::string folderOf(const std::string &path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

absl::StatusOr<MappedFile> MappedFile::open(const std::string &path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    return errnoStatus(absl::StrCat("open ", path));
  ORIEL_ASSIGN_OR_RETURN(size_t size, regularFileSize(file.get(), path));
  MappedFile mapped;
  if (size == 0)
    return mapped;
  void *data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED)
    return errnoStatus(absl::StrCat("map ", path));
  mapped.data_ = data;
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_)
    ::munmap(data_, size_);
}

} // namespace oriel::runtime
