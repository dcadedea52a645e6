// Context, errno and exit codes for absl::Status.
#include "runtime/base/Status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

#include <cerrno>

namespace oriel::runtime {

absl::Status withContext(absl::Status status, absl::string_view context) {
  if (status.ok())
    return status;
  absl::Status outer(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord &payload) { outer.SetPayload(url, payload); });
  return outer;
}

absl::Status errnoStatus(absl::string_view what) { return absl::ErrnoToStatus(errno, what); }

int exitCode(const absl::Status &status) {
  if (status.ok())
    return 0;
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

} // namespace oriel::runtime
