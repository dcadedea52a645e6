#include "trainer/tokenizer/huggingface/Utf8.h"

#include <utf8proc.h>

#include <algorithm>

namespace oriel::trainer::huggingface {
namespace {

bool isWhiteSpace(int32_t codePoint) {
  if ((codePoint >= '\t' && codePoint <= '\r') || codePoint == 0x85)
    return true;
  const utf8proc_category_t category = utf8proc_category(codePoint);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

} // namespace

Character characterAt(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80)
    return {first, 1};
  const auto *bytes = reinterpret_cast<const utf8proc_uint8_t *>(text.data()) + at;
  utf8proc_int32_t codePoint;
  const utf8proc_ssize_t length =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4)), &codePoint);
  return length > 0 ? Character{codePoint, static_cast<size_t>(length)} : Character{-1, 1};
}

size_t leadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    const Character character = characterAt(text, end);
    if (!isWhiteSpace(character.codePoint))
      break;
    end += character.bytes;
  }
  return end;
}

size_t trailingSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    size_t start = begin - 1;
    while (start > 0 && begin - start < 4 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80)
      --start;
    const Character character = characterAt(text, start);
    if (start + character.bytes != begin || !isWhiteSpace(character.codePoint))
      break;
    begin = start;
  }
  return text.size() - begin;
}

void appendUtf8(std::string &text, int32_t codePoint) {
  utf8proc_uint8_t bytes[4];
  text.append(reinterpret_cast<const char *>(bytes), static_cast<size_t>(utf8proc_encode_char(codePoint, bytes)));
}

} // namespace oriel::trainer::huggingface
