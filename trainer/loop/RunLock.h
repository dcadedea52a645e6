// One run per run folder: an advisory lock that ends with the process, however it ends.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <string>
#include <utility>

namespace oriel::trainer {

class RunLock {
public:
  /// Makes the folder if need be. AlreadyExists, naming the holder's process id, when another run has it.
  static absl::StatusOr<RunLock> take(const std::string &runDir);
  /// What take() would say of another run now; makes nothing and keeps nothing.
  static absl::Status check(const std::string &runDir);
  RunLock(RunLock &&other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  RunLock &operator=(RunLock &&other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  RunLock() = default;
  ~RunLock();

private:
  explicit RunLock(int descriptor) : descriptor_(descriptor) {}
  static absl::StatusOr<RunLock> open(const std::string &runDir, int flags);
  absl::Status hold(const std::string &runDir, int kind) const;

  int descriptor_ = -1;
};

} // namespace oriel::trainer
