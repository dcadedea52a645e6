// "Did you mean …?": the nearest of a list of names by edit distance.
#ifndef ORIEL_COMPILER_FRONTEND_SUGGEST_H
#define ORIEL_COMPILER_FRONTEND_SUGGEST_H

#include <string>
#include <string_view>
#include <vector>

namespace oriel::frontend {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. Cuts off: returns `limit + 1`
/// when more than `limit` are needed.
size_t editDistance(std::string_view a, std::string_view b, size_t limit);

/// The candidate nearest to `word`, if it is near enough to be a likely slip (about a third of the word); failing that,
/// one that `word` is short for ("attn", "mlp"); else "".
std::string_view nearest(std::string_view word, const std::vector<std::string_view> &candidates);

/// "; did you mean 'x'?" for the nearest candidate, or "".
std::string didYouMean(std::string_view word, const std::vector<std::string_view> &candidates);

/// 'text'
std::string quoted(std::string_view text);

/// "'a', 'b' or 'c'", for messages that list what may stand in a place.
std::string listOf(const std::vector<std::string_view> &names, std::string_view conjunction = "or");

} // namespace oriel::frontend

#endif
