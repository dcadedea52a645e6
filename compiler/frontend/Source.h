// The text of one model file and places in it. Ranges are byte offsets; lines and columns are worked out only when a
// message or a location needs them.
#ifndef ORIEL_COMPILER_FRONTEND_SOURCE_H
#define ORIEL_COMPILER_FRONTEND_SOURCE_H

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::frontend {

/// Bytes [begin, end) of the file.
struct SourceRange {
  size_t begin = 0;
  size_t end = 0;
};

/// The range from the beginning of `first` to the end of `last`.
inline SourceRange spanning(SourceRange first, SourceRange last) { return {first.begin, last.end}; }

/// Both count from 1; the column counts bytes, as compilers and editors expect.
struct LineColumn {
  unsigned line = 1;
  unsigned column = 1;
};

/// Owns a copy of the text, so tokens and trees may hold views into it as long as it lives.
class SourceFile {
public:
  SourceFile(std::string_view path, std::string_view text);
  SourceFile(const SourceFile &) = delete;
  SourceFile &operator=(const SourceFile &) = delete;

  const std::string &path() const { return path_; }
  std::string_view text() const { return text_; }
  std::string_view text(SourceRange range) const { return text().substr(range.begin, range.end - range.begin); }

  LineColumn lineColumn(size_t offset) const;
  /// The text of a line (counted from 1) without its line break.
  std::string_view line(unsigned number) const;

private:
  std::string path_;
  std::string text_;
  std::vector<size_t> lineBegins_;
};

} // namespace oriel::frontend

#endif
