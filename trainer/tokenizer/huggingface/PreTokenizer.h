// Cuts a text into words: no token crosses their borders.
//
// The patterns are those of tokenizer.json, written for Oniguruma and run by PCRE2 (UTF, Unicode properties). Where the
// two read an escape differently it is translated (\s) or refused (\w, \b, \h …), so that a pattern never means
// something else. Characters added by a Unicode later than the installed PCRE2's count as unassigned. Invalid bytes
// match nothing.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace oriel::trainer::huggingface {

/// A compiled pattern. Thread safe.
class Pattern {
public:
  /// InvalidArgument with the pattern and what is wrong with it; a pattern may not match the empty text.
  static absl::StatusOr<Pattern> compile(const std::string &regex);

  /// Calls with each match and with the text before, between and after matches, in order; no piece is empty.
  void forEachPiece(std::string_view text, const std::function<void(std::string_view)> &visit) const;

private:
  struct Free {
    void operator()(pcre2_real_code_8 *code) const;
  };
  explicit Pattern(pcre2_real_code_8 *code) : code_(code) {}
  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

/// Patterns one after the other, each on the pieces of the one before. Without patterns a text is one word.
class PreTokenizer {
public:
  static absl::StatusOr<PreTokenizer> create(const std::vector<std::string> &patterns);

  void forEachWord(std::string_view text, const std::function<void(std::string_view)> &visit) const {
    split(text, 0, visit);
  }

private:
  void split(std::string_view text, size_t first, const std::function<void(std::string_view)> &visit) const;

  std::vector<Pattern> patterns_;
};

} // namespace oriel::trainer::huggingface
