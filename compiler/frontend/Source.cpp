// Line table of a model file. See Source.h.
#include "compiler/frontend/Source.h"

#include <algorithm>

namespace oriel::frontend {

SourceFile::SourceFile(std::string_view path, std::string_view text) : path_(path), text_(text) {
  lineBegins_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i)
    if (text_[i] == '\n')
      lineBegins_.push_back(i + 1);
}

LineColumn SourceFile::lineColumn(size_t offset) const {
  offset = std::min(offset, text_.size());
  auto next = std::upper_bound(lineBegins_.begin(), lineBegins_.end(), offset);
  size_t index = static_cast<size_t>(next - lineBegins_.begin()) - 1;
  return {static_cast<unsigned>(index + 1), static_cast<unsigned>(offset - lineBegins_[index] + 1)};
}

std::string_view SourceFile::line(unsigned number) const {
  size_t begin = lineBegins_[number - 1];
  size_t end = number < lineBegins_.size() ? lineBegins_[number] - 1 : text_.size();
  if (end > begin && text_[end - 1] == '\r')
    --end;
  return text().substr(begin, end - begin);
}

} // namespace oriel::frontend
