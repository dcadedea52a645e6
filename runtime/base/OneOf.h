// Options of command lines whose words stand for values. Only for those who parse command lines: it includes CLI11.
#ifndef ORIEL_RUNTIME_BASE_ONEOF_H
#define ORIEL_RUNTIME_BASE_ONEOF_H

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

namespace oriel::runtime {

/// For CLI::Option::transform of an option that holds a bool or an enum: takes one of the words. Errors and --help name
/// the words, and never the numbers that they stand for.
template <typename Value> CLI::Validator oneOf(std::vector<std::pair<std::string, Value>> choices) {
  std::string words;
  for (const auto &[word, value] : choices)
    words += (words.empty() ? "" : ", ") + word;
  auto replace = [choices, words](std::string &given) -> std::string {
    for (const auto &[word, value] : choices)
      if (given == word) {
        given = std::to_string(static_cast<int>(value));
        return "";
      }
    return "'" + given + "' is none of " + words;
  };
  return CLI::Validator(replace, "{" + words + "}");
}

} // namespace oriel::runtime

#endif
