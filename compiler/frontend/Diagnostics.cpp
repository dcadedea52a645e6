// Collects and renders messages about a model file. See Diagnostics.h.
#include "compiler/frontend/Diagnostics.h"

#include <algorithm>

namespace oriel::frontend {
namespace {

/// Longer source lines are cut around the caret.
constexpr size_t kMaxShownColumns = 160;

bool isContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
bool isControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

/// The source line and, below it, a caret under `range.begin` and tildes up to `range.end` (or the end of the line).
std::string renderSnippet(const SourceFile &file, SourceRange range) {
  LineColumn place = file.lineColumn(range.begin);
  std::string_view line = file.line(place.line);
  size_t caret = std::min<size_t>(place.column - 1, line.size());
  size_t caretEnd = std::min(line.size(), caret + std::max<size_t>(1, range.end - range.begin));
  size_t from = caret > kMaxShownColumns / 2 && line.size() > kMaxShownColumns ? caret - kMaxShownColumns / 2 : 0;
  size_t to = std::min(line.size(), from + kMaxShownColumns);

  std::string shown = from ? "  …" : "  ", marks = from ? "   " : "  ";
  for (size_t i = from; i < to; ++i) {
    char c = line[i];
    shown += c == '\t' ? '\t' : isControl(c) ? '?' : c;
    if (isContinuationByte(c))
      continue; // One column per character, not per byte.
    if (i < caret)
      marks += c == '\t' ? '\t' : ' ';
    else if (i < caretEnd || i == caret)
      marks += i == caret ? '^' : '~';
  }
  if (caret >= to)
    marks += '^';
  return shown + "\n" + marks + "\n";
}

std::string renderHeadline(const SourceFile &file, std::optional<SourceRange> range, const char *kind,
                           const std::string &message) {
  std::string text = file.path();
  if (range) {
    LineColumn place = file.lineColumn(range->begin);
    text.append(":").append(std::to_string(place.line)).append(":").append(std::to_string(place.column));
  }
  return text.append(": ").append(kind).append(": ").append(message).append("\n");
}

} // namespace

void Diagnostics::add(Diagnostic diagnostic) {
  size_t place = diagnostic.range ? diagnostic.range->begin : file_.text().size() + 1;
  if (!seen_.emplace(place, diagnostic.message).second)
    return;
  if (diagnostic.severity == Severity::Error && ++errorCount_ > kMaxErrors)
    return;
  diagnostics_.push_back(std::move(diagnostic));
}

void Diagnostics::error(SourceRange range, std::string message, std::string hint, std::vector<Note> notes) {
  if (isFull()) {
    ++errorCount_; // Also keeps `seen_` small on hopeless input.
    return;
  }
  add({Severity::Error, range, std::move(message), std::move(hint), std::move(notes)});
}

void Diagnostics::error(std::string message, std::string hint) {
  add({Severity::Error, std::nullopt, std::move(message), std::move(hint), {}});
}

void Diagnostics::warning(SourceRange range, std::string message, std::string hint) {
  add({Severity::Warning, range, std::move(message), std::move(hint), {}});
}

std::string Diagnostics::render() const {
  std::vector<const Diagnostic *> ordered;
  for (const Diagnostic &diagnostic : diagnostics_)
    ordered.push_back(&diagnostic);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Diagnostic *a, const Diagnostic *b) {
    return (a->range ? a->range->begin : 0) < (b->range ? b->range->begin : 0);
  });
  std::string text;
  for (const Diagnostic *diagnostic : ordered) {
    const char *kind = diagnostic->severity == Severity::Error ? "error" : "warning";
    text += renderHeadline(file_, diagnostic->range, kind, diagnostic->message);
    if (diagnostic->range)
      text += renderSnippet(file_, *diagnostic->range);
    if (!diagnostic->hint.empty())
      text += "hint: " + diagnostic->hint + "\n";
    for (const Note &note : diagnostic->notes)
      text += renderHeadline(file_, note.range, "note", note.message) + renderSnippet(file_, note.range);
  }
  if (isFull())
    text += file_.path() + ": stopped after " + std::to_string(kMaxErrors) + " errors\n";
  return text;
}

} // namespace oriel::frontend
