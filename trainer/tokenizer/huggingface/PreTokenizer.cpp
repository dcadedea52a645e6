#define PCRE2_CODE_UNIT_WIDTH 8

#include "trainer/tokenizer/huggingface/PreTokenizer.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <pcre2.h>

#include <cctype>
#include <cstdint>
#include <new>

namespace oriel::trainer::huggingface {
namespace {

absl::Status refused(const std::string &regex, const std::string &why) {
  return absl::InvalidArgumentError(fmt::format("the pattern {} {}", regex, why));
}

/// The pattern for PCRE2. Its \s has U+180E, which is no white space of Unicode, so \s becomes the property by name.
absl::StatusOr<std::string> translate(const std::string &regex) {
  std::string out;
  for (size_t i = 0; i < regex.size(); ++i) {
    if (regex.compare(i, 2, "&&") == 0)
      return refused(regex, "has an intersection (&&), which is not supported");
    out += regex[i];
    if (regex[i] != '\\' || ++i == regex.size())
      continue;
    const char escape = regex[i];
    if (escape == 's' || escape == 'S')
      out += escape == 's' ? "p{White_Space}" : "P{White_Space}";
    else if (std::isalnum(static_cast<unsigned char>(escape)) &&
             std::string_view("pPdDnrtfvx").find(escape) == std::string_view::npos)
      return refused(regex, fmt::format("has the escape \\{}, which is not supported", escape));
    else
      out += escape;
  }
  return out;
}

struct FreeMatch {
  void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
};

struct FreeContext {
  void operator()(pcre2_match_context *context) const { pcre2_match_context_free(context); }
};

/// The next match at or after `at`; false: there is none. Only memory limits a search.
bool findNext(const pcre2_code *code, std::string_view text, size_t at, pcre2_match_data *data,
              pcre2_match_context *context) {
  const auto *subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int result = pcre2_match(code, subject, text.size(), at, 0, data, context);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT)
    result = pcre2_match(code, subject, text.size(), at, PCRE2_NO_JIT, data, context);
  if (result < 0 && result != PCRE2_ERROR_NOMATCH)
    throw std::bad_alloc();
  return result > 0;
}

} // namespace

void Pattern::Free::operator()(pcre2_real_code_8 *code) const { pcre2_code_free(code); }

absl::StatusOr<Pattern> Pattern::compile(const std::string &regex) {
  ORIEL_ASSIGN_OR_RETURN(std::string translated, translate(regex));
  int error = 0;
  PCRE2_SIZE offset = 0;
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE;
  Pattern pattern(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error,
                                &offset, nullptr));
  if (!pattern.code_) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return refused(regex, fmt::format("is malformed: {}", reinterpret_cast<const char *>(message)));
  }
  uint32_t matchesEmpty = 0;
  pcre2_pattern_info(pattern.code_.get(), PCRE2_INFO_MATCHEMPTY, &matchesEmpty);
  if (matchesEmpty)
    return refused(regex, "may match the empty text, which is not supported");
  pcre2_jit_compile(pattern.code_.get(), PCRE2_JIT_COMPLETE); // without it the same, only slower
  return pattern;
}

void Pattern::forEachPiece(std::string_view text, const std::function<void(std::string_view)> &visit) const {
  std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create(1, nullptr));
  std::unique_ptr<pcre2_match_context, FreeContext> context(pcre2_match_context_create(nullptr));
  if (!data || !context)
    throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), UINT32_MAX);
  pcre2_set_depth_limit(context.get(), UINT32_MAX);
  pcre2_set_heap_limit(context.get(), UINT32_MAX);
  const PCRE2_SIZE *match = pcre2_get_ovector_pointer(data.get());
  size_t open = 0; // where the text begins that was not visited yet
  while (open < text.size() && findNext(code_.get(), text, open, data.get(), context.get())) {
    const size_t begin = match[0], end = match[1];
    if (open < begin)
      visit(text.substr(open, begin - open));
    visit(text.substr(begin, end - begin));
    open = end;
  }
  if (open < text.size())
    visit(text.substr(open));
}

absl::StatusOr<PreTokenizer> PreTokenizer::create(const std::vector<std::string> &patterns) {
  PreTokenizer result;
  for (const std::string &regex : patterns) {
    ORIEL_ASSIGN_OR_RETURN(Pattern pattern, Pattern::compile(regex));
    result.patterns_.push_back(std::move(pattern));
  }
  return result;
}

void PreTokenizer::split(std::string_view text, size_t first,
                         const std::function<void(std::string_view)> &visit) const {
  if (first == patterns_.size()) {
    if (!text.empty())
      visit(text);
    return;
  }
  patterns_[first].forEachPiece(text, [&](std::string_view piece) { split(piece, first + 1, visit); });
}

} // namespace oriel::trainer::huggingface
