// `orielc fmt`: one spelling for every model file. Like gofmt it keeps the author's line breaks and comments, and
// decides indentation and spacing itself. Formatting a formatted file changes nothing.
#ifndef ORIEL_COMPILER_FRONTEND_FORMAT_H
#define ORIEL_COMPILER_FRONTEND_FORMAT_H

#include <optional>
#include <string>
#include <string_view>

namespace oriel::frontend {

/// Returns the formatted text, or nothing when `text` does not parse; then `errors` receives the rendered diagnostics.
/// Names and values need not make sense: only the grammar counts.
std::optional<std::string> format(std::string_view path, std::string_view text, std::string &errors);

} // namespace oriel::frontend

#endif
