// Reads line-based text, word by word, and says where it stopped: shared by the text forms of this folder.
#ifndef ORIEL_COMPILER_SCHEDULE_TEXTREADER_H
#define ORIEL_COMPILER_SCHEDULE_TEXTREADER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::schedule {

class TextReader {
public:
  TextReader(std::string_view text, std::string name) : rest_(text), name_(std::move(name)) {}

  /// Goes to the next line that has a word; false at the end.
  bool nextLine();
  bool atEnd() const { return next_ == words_.size(); }
  /// Takes the next word if it is `word`.
  bool accept(std::string_view word);

  // Each takes one word; after the first error all return empty values and change nothing.
  void expect(std::string_view word);
  void expectEnd();
  std::string readName(std::string_view what);
  int64_t readInteger(std::string_view what);
  double readNumber(std::string_view what);
  /// The index of the word among `choices`.
  size_t readChoice(const std::vector<std::string_view> &choices);

  /// An error at the word that was taken last.
  void fail(const std::string &what);
  bool failed() const { return !error_.empty(); }
  /// "name:line:column: what"; empty when all went well.
  const std::string &error() const { return error_; }

private:
  struct Word {
    std::string_view text;
    int64_t column;
  };
  const Word *take(std::string_view what);
  void failAt(int64_t column, const std::string &what);

  std::string_view rest_;
  std::string name_, error_;
  std::vector<Word> words_;
  size_t next_ = 0;
  int64_t line_ = 0, endColumn_ = 1;
};

} // namespace oriel::schedule

#endif
