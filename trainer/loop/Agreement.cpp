#include "trainer/loop/Agreement.h"

#include "runtime/base/Status.h"

#include "absl/strings/cord.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace oriel::trainer {
namespace {

constexpr char kAgreedPayload[] = "oriel/agreed";

// One byte of code, then the message.
std::string encode(const absl::Status &status) {
  return static_cast<char>(status.code()) + std::string(status.message());
}

absl::Status decode(const std::string &bytes) {
  if (bytes.empty())
    return absl::InternalError("a rank sent an empty status");
  return absl::Status(static_cast<absl::StatusCode>(bytes[0]), bytes.substr(1));
}

} // namespace

absl::Status asAgreed(absl::Status status) {
  status.SetPayload(kAgreedPayload, absl::Cord("1"));
  return status;
}

absl::Status agree(runtime::Communicator &communicator, const absl::Status &mine, runtime::Deadline deadline) {
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, communicator.allGatherBytes(encode(mine), deadline));
  auto failed = std::find_if(all.begin(), all.end(), [](const std::string &bytes) { return !decode(bytes).ok(); });
  if (failed == all.end())
    return absl::OkStatus();
  bool alike = std::all_of(all.begin(), all.end(), [&](const std::string &bytes) { return bytes == *failed; });
  absl::Status status = decode(*failed);
  return asAgreed(alike ? status : runtime::withContext(status, fmt::format("rank {}", failed - all.begin())));
}

bool isAgreed(const absl::Status &status) { return status.GetPayload(kAgreedPayload).has_value(); }

absl::StatusOr<std::string> fromRankZero(runtime::Communicator &communicator, const absl::StatusOr<std::string> &text,
                                         runtime::Deadline deadline) {
  std::string message;
  if (communicator.rank() == 0)
    message = encode(text.status()) + (text.ok() ? *text : "");
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, communicator.allGatherBytes(message, deadline));
  if (all[0].empty() || all[0][0] != 0)
    return asAgreed(decode(all[0]));
  return all[0].substr(1);
}

} // namespace oriel::trainer
