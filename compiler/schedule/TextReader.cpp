#include "compiler/schedule/TextReader.h"

#include <charconv>
#include <cmath>

namespace oriel::schedule {

static std::string quoted(std::string_view word) { return std::string("'").append(word).append("'"); }

bool TextReader::nextLine() {
  words_.clear();
  next_ = 0;
  while (words_.empty() && !rest_.empty() && !failed()) {
    size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    ++line_;
    line = line.substr(0, line.find('#'));
    endColumn_ = static_cast<int64_t>(line.size()) + 1;
    for (size_t at = line.find_first_not_of(" \t\r"); at != std::string_view::npos;) {
      size_t stop = std::min(line.find_first_of(" \t\r", at), line.size());
      words_.push_back({line.substr(at, stop - at), static_cast<int64_t>(at) + 1});
      at = line.find_first_not_of(" \t\r", stop);
    }
  }
  return !words_.empty() && !failed();
}

void TextReader::failAt(int64_t column, const std::string &what) {
  if (!failed())
    error_ = name_ + ":" + std::to_string(line_) + ":" + std::to_string(column) + ": " + what;
}

void TextReader::fail(const std::string &what) {
  failAt(next_ > 0 && next_ <= words_.size() ? words_[next_ - 1].column : endColumn_, what);
}

const TextReader::Word *TextReader::take(std::string_view what) {
  if (failed())
    return nullptr;
  if (atEnd()) {
    failAt(endColumn_, "expected " + std::string(what) + " before the end of the line");
    return nullptr;
  }
  return &words_[next_++];
}

bool TextReader::accept(std::string_view word) {
  if (failed() || atEnd() || words_[next_].text != word)
    return false;
  ++next_;
  return true;
}

void TextReader::expect(std::string_view word) {
  const Word *found = take(quoted(word));
  if (found && found->text != word)
    failAt(found->column, "expected " + quoted(word) + ", found " + quoted(found->text));
}

void TextReader::expectEnd() {
  if (!failed() && !atEnd())
    failAt(words_[next_].column, "unexpected " + quoted(words_[next_].text) + " at the end of the line");
}

std::string TextReader::readName(std::string_view what) {
  const Word *word = take(what);
  return word ? std::string(word->text) : std::string();
}

int64_t TextReader::readInteger(std::string_view what) {
  const Word *word = take(what);
  if (!word)
    return 0;
  int64_t value = 0;
  auto [end, error] = std::from_chars(word->text.data(), word->text.data() + word->text.size(), value);
  if (error != std::errc() || end != word->text.data() + word->text.size())
    failAt(word->column, "expected " + std::string(what) + " (a whole number), found " + quoted(word->text));
  return value;
}

double TextReader::readNumber(std::string_view what) {
  const Word *word = take(what);
  if (!word)
    return 0;
  double value = 0;
  auto [end, error] = std::from_chars(word->text.data(), word->text.data() + word->text.size(), value);
  if (error != std::errc() || end != word->text.data() + word->text.size() || !std::isfinite(value))
    failAt(word->column, "expected " + std::string(what) + " (a number), found " + quoted(word->text));
  return value;
}

size_t TextReader::readChoice(const std::vector<std::string_view> &choices) {
  std::string list;
  for (std::string_view choice : choices)
    list.append(list.empty() ? "" : " or ").append(quoted(choice));
  const Word *word = take(list);
  if (!word)
    return 0;
  for (size_t i = 0; i < choices.size(); ++i)
    if (word->text == choices[i])
      return i;
  failAt(word->column, "expected " + list + ", found " + quoted(word->text));
  return 0;
}

} // namespace oriel::schedule
