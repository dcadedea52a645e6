// One run per run folder: an advisory lock that ends with the process, however it ends.
#pragma once

#include "absl/status/statusor.h"

#include <string>

namespace oriel::trainer {

class RunLock {
public:
  /// Makes the folder if need be. AlreadyExists, naming the holder's process id, when another run has it.
  static absl::StatusOr<RunLock> take(const std::string &runDir);
  RunLock(RunLock &&other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  RunLock &operator=(RunLock &&other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  RunLock() = default;
  ~RunLock();

private:
  explicit RunLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

} // namespace oriel::trainer
