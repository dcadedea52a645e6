// Optimal string alignment distance and the phrases made of it.
#include "trainer/config/Suggest.h"

#include "fmt/format.h"

#include <algorithm>
#include <vector>

namespace oriel::trainer {

int editDistance(std::string_view a, std::string_view b) {
  // Three rows of the table: two back (for swaps), one back, current.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearestName(std::string_view name, std::span<const std::string> known) {
  std::string best;
  int bestDistance = static_cast<int>(name.size() + 2) / 3 + 1; // anything not below this is a different word
  for (const std::string &candidate : known)
    if (int distance = editDistance(name, candidate); distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string> known) {
  if (std::string near = nearestName(name, known); !near.empty())
    return fmt::format("; did you mean '{}'?", near);
  return known.empty() ? std::string() : fmt::format("; known are {}", fmt::join(known, ", "));
}

} // namespace oriel::trainer
