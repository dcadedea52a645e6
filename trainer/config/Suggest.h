// "Did you mean …": the nearest of some known names by edit distance.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace oriel::trainer {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
int editDistance(std::string_view a, std::string_view b);

/// The nearest known name, or empty when none is near (more than a third of the letters differ).
std::string nearestName(std::string_view name, std::span<const std::string> known);

/// "; did you mean 'x'?", or "; known are a, b, c" when nothing is near.
std::string suggestion(std::string_view name, std::span<const std::string> known);

} // namespace oriel::trainer
