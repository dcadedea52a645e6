// Edit distance and lists of names for messages. See Suggest.h.
#include "compiler/frontend/Suggest.h"

#include <algorithm>
#include <array>

namespace oriel::frontend {

size_t editDistance(std::string_view a, std::string_view b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit)
    return limit + 1;
  // Optimal string alignment over three rolling rows: two back, one back, current.
  std::array<std::vector<size_t>, 3> rows;
  for (auto &row : rows)
    row.resize(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    auto &row = rows[i % 3], &above = rows[(i + 2) % 3], &twoAbove = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], twoAbove[j - 2] + 1);
    }
  }
  return std::min(rows[a.size() % 3][b.size()], limit + 1);
}

namespace {

/// "attn" for "attention", "mlp" for "gated_mlp": a piece, or the first letter and some of the others in order.
bool isShortFor(std::string_view word, std::string_view candidate) {
  if (word.size() < 3 || word.size() >= candidate.size())
    return false;
  if (candidate.find(word) != std::string_view::npos)
    return true;
  size_t matched = 0;
  for (char c : candidate)
    matched += matched < word.size() && c == word[matched];
  return word.front() == candidate.front() && matched == word.size();
}

} // namespace

std::string_view nearest(std::string_view word, const std::vector<std::string_view> &candidates) {
  if (word.size() > 64)
    return ""; // Not a slip of the finger.
  size_t limit = word.size() <= 2 ? 1 : std::max<size_t>(1, (word.size() + 1) / 3);
  std::string_view best;
  for (std::string_view candidate : candidates) {
    size_t distance = editDistance(word, candidate, limit);
    if (distance <= limit && distance < std::max(word.size(), candidate.size())) {
      best = candidate;
      if (distance == 0)
        break;
      limit = distance - 1; // Only a strictly nearer one replaces it.
    }
  }
  if (best.empty())
    for (std::string_view candidate : candidates)
      if (isShortFor(word, candidate))
        return candidate;
  return best;
}

std::string didYouMean(std::string_view word, const std::vector<std::string_view> &candidates) {
  std::string_view best = nearest(word, candidates);
  return best.empty() ? "" : "; did you mean " + quoted(best) + "?";
}

std::string quoted(std::string_view text) {
  std::string result(1, '\'');
  result += text;
  result += '\'';
  return result;
}

std::string listOf(const std::vector<std::string_view> &names, std::string_view conjunction) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i != 0 && i + 1 == names.size())
      text.append(" ").append(conjunction).append(" ");
    else if (i != 0)
      text += ", ";
    text += quoted(names[i]);
  }
  return text;
}

} // namespace oriel::frontend
