// Normal forms are made line by line: a line break neither composes nor reorders, and most lines are ASCII.
#include "trainer/tokenizer/huggingface/Normalizer.h"

#include "trainer/tokenizer/huggingface/Utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace oriel::trainer::huggingface {
namespace {

using Kind = NormalizerStep::Kind;

utf8proc_option_t optionsOf(Kind form) {
  int options = UTF8PROC_STABLE;
  options |= form == Kind::Nfc || form == Kind::Nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  options |= form == Kind::Nfkc || form == Kind::Nfkd ? UTF8PROC_COMPAT : 0;
  return static_cast<utf8proc_option_t>(options);
}

/// Appends the normal form of a valid text.
void appendNormalForm(std::string_view valid, Kind form, std::string &out) {
  utf8proc_uint8_t *result = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(valid.data()),
                                               static_cast<utf8proc_ssize_t>(valid.size()), &result, optionsOf(form));
  if (length < 0) // the text is valid: it can only be memory
    throw std::bad_alloc();
  out.append(reinterpret_cast<const char *>(result), static_cast<size_t>(length));
  std::free(result);
}

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void appendLine(std::string_view line, Kind form, std::string &out) {
  if (isAscii(line)) {
    out += line;
    return;
  }
  size_t begin = 0;
  for (size_t at = 0; at < line.size();) {
    const Character character = characterAt(line, at);
    if (character.codePoint < 0) {
      appendNormalForm(line.substr(begin, at - begin), form, out);
      out += line[at];
      begin = at + 1;
    }
    at += character.bytes;
  }
  appendNormalForm(line.substr(begin), form, out);
}

std::string normalForm(std::string_view text, Kind form) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    appendLine(text.substr(0, end), form, out);
    text.remove_prefix(end);
  }
  return out;
}

} // namespace

std::string replaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::string_view::npos; begin = at + from.size()) {
    out += text.substr(begin, at - begin);
    out += to;
  }
  return out += text.substr(begin);
}

std::string normalize(std::string_view text, std::span<const NormalizerStep> steps) {
  std::string result(text);
  for (const NormalizerStep &step : steps) {
    if (step.kind == Kind::Prepend)
      result.insert(0, result.empty() ? std::string() : step.to);
    else if (step.kind == Kind::Replace)
      result = replaceAll(result, step.from, step.to);
    else
      result = normalForm(result, step.kind);
  }
  return result;
}

} // namespace oriel::trainer::huggingface
