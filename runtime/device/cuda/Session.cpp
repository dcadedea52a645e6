#include "runtime/device/cuda/Session.h"

#include "runtime/base/Status.h"

#include <chrono>
#include <thread>

namespace oriel::runtime::cuda {

absl::StatusOr<bool> Session::isIdle(Stream stream, absl::string_view what) const {
  Result result = enter().streamQuery(stream);
  if (result == notReady)
    return false;
  ORIEL_RETURN_IF_ERROR(check(result, what));
  return true;
}

absl::Status Session::await(Stream stream, absl::string_view what) const {
  constexpr int eagerPolls = 2000; // about a millisecond
  for (int polls = 0;; ++polls) {
    ORIEL_ASSIGN_OR_RETURN(bool idle, isIdle(stream, what));
    if (idle)
      return absl::OkStatus();
    if (polls > eagerPolls)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

} // namespace oriel::runtime::cuda
