// See MemoryBudget.h.
#include "runtime/base/MemoryBudget.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <cmath>
#include <utility>

namespace oriel::runtime {
namespace {

constexpr std::pair<const char *, double> units[] = {
    {"B", 1},        {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},
    {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
};

} // namespace

absl::StatusOr<int64_t> parseBytes(absl::string_view text) {
  if (text == "0")
    return 0;
  size_t digits = text.find_first_not_of("0123456789.");
  double number = 0;
  if (digits != 0 && digits != absl::string_view::npos && absl::SimpleAtod(text.substr(0, digits), &number)) {
    absl::string_view unit = absl::StripLeadingAsciiWhitespace(text.substr(digits));
    for (auto [name, factor] : units) {
      double bytes = std::floor(number * factor);
      if (unit == name && bytes >= 1 && bytes < 0x1p62)
        return static_cast<int64_t>(bytes);
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is no size with a unit, such as 6GiB or 800 MB"));
}

absl::StatusOr<MemoryBudget> parseMemoryBudget(absl::string_view text) {
  if (text == "auto")
    return MemoryBudget{MemoryBudget::Auto, 0};
  if (text == "unlimited")
    return MemoryBudget{MemoryBudget::Unlimited, 0};
  if (text == "least")
    return MemoryBudget{MemoryBudget::Least, 0};
  if (absl::StatusOr<int64_t> bytes = parseBytes(text); bytes.ok() && *bytes > 0)
    return MemoryBudget{MemoryBudget::Bytes, *bytes};
  return absl::InvalidArgumentError(absl::StrCat("'", text,
                                                 "' is no memory budget; write 'auto', 'unlimited', 'least', or a size "
                                                 "above 0 with a unit, such as 6GiB or 800 MB"));
}

} // namespace oriel::runtime
