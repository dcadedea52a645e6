// Texts of communication errors.
#include "runtime/communicator/Call.h"

#include "runtime/base/Bytes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace oriel::runtime {

std::string Call::describe() const {
  std::string text = absl::StrCat(op, " #", sequence, " (rank ", rank, " of ", size);
  if (bytes > 0)
    absl::StrAppend(&text, ", ", formatBytes(static_cast<uint64_t>(bytes)), " per rank");
  if (*dtype)
    absl::StrAppend(&text, ", ", dtype);
  return text + ")";
}

absl::Status Call::timedOut(const std::vector<int> &peers, Deadline deadline) const {
  return absl::DeadlineExceededError(absl::StrCat(describe(), ": no answer from rank ", absl::StrJoin(peers, ", "),
                                                  " within ", deadline.span(), " s"));
}

absl::Status Call::broken(const absl::Status &why) const {
  return absl::UnavailableError(
      absl::StrCat(describe(), ": an earlier operation of this group failed: ", why.message()));
}

absl::Status Call::misused(absl::string_view why) const {
  return absl::FailedPreconditionError(absl::StrCat(describe(), ": ", why));
}

bool Call::agreesWith(const Call &other) const {
  return absl::string_view(op) == other.op && sequence == other.sequence && bytes == other.bytes &&
         absl::string_view(dtype) == other.dtype && root == other.root;
}

} // namespace oriel::runtime
