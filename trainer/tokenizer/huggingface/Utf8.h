// Characters of UTF-8 text that may hold invalid bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oriel::trainer::huggingface {

struct Character {
  int32_t codePoint; // -1: an invalid byte
  size_t bytes;      // 1 for an invalid byte
};

/// The character that begins at byte `at` < text.size().
Character characterAt(std::string_view text, size_t at);

/// Bytes of white space (Unicode White_Space) at the beginning and at the end of a text.
size_t leadingSpace(std::string_view text);
size_t trailingSpace(std::string_view text);

void appendUtf8(std::string &text, int32_t codePoint);

} // namespace oriel::trainer::huggingface
