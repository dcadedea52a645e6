// A file that grows by whole records.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <string>
#include <string_view>
#include <utility>

namespace oriel::trainer {

/// Move only; one thread.
class AppendFile {
public:
  /// Made when it is not there. Errors name the path.
  static absl::StatusOr<AppendFile> open(const std::string &path);
  AppendFile(AppendFile &&other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  AppendFile &operator=(AppendFile &&other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~AppendFile();

  /// Writes the record at once. A record that does not fit on the disk leaves no part of it behind, so that the next
  /// may follow.
  absl::Status append(std::string_view record);
  const std::string &path() const { return path_; }

private:
  AppendFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
};

} // namespace oriel::trainer
