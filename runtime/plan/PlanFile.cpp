// The checksum field is appended and cut off as bytes: serializing a message twice need not give the same bytes.
#include "runtime/plan/PlanFile.h"

#include "runtime/base/Hash.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace oriel::runtime {

namespace {
constexpr absl::string_view fieldHeader("\xA2\x01\x20", 3); // field 20, length-delimited, 32 bytes
constexpr size_t fieldBytes = 3 + 32;
} // namespace

std::string encodePlan(plan::Plan plan) {
  plan.clear_checksum();
  std::string bytes = plan.SerializeAsString();
  return absl::StrCat(bytes, fieldHeader, hashHex(bytes));
}

absl::StatusOr<plan::Plan> decodePlan(absl::string_view bytes) {
  absl::string_view last = bytes.substr(bytes.size() - std::min(bytes.size(), fieldBytes));
  bool sealed = last.size() == fieldBytes && absl::StartsWith(last, fieldHeader);
  absl::string_view content = bytes.substr(0, bytes.size() - last.size());
  if (!sealed || last.substr(fieldHeader.size()) != hashHex(content))
    return absl::DataLossError("the checksum at its end is missing or wrong: truncated, changed, or no plan");
  plan::Plan plan;
  if (!plan.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::InvalidArgumentError("not a plan (malformed protobuf)");
  return plan;
}

} // namespace oriel::runtime
