// Everything the frontend has to say about a model file, collected and then rendered like this:
//
//   ra.oriel:9:13: error: unknown mixer 'ratention'; did you mean 'rattention'?
//         layer(ratention(heads, window = 128))
//               ^~~~~~~~~
//   hint: …what to write instead…
//
// No phase stops at its first error; later phases run on what is left as far as that makes sense.
#ifndef ORIEL_COMPILER_FRONTEND_DIAGNOSTICS_H
#define ORIEL_COMPILER_FRONTEND_DIAGNOSTICS_H

#include "compiler/frontend/Source.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace oriel::frontend {

enum class Severity { Error, Warning };

/// A second place that explains the first.
struct Note {
  SourceRange range;
  std::string message;
};

struct Diagnostic {
  Severity severity = Severity::Error;
  std::optional<SourceRange> range; ///< Absent for what lies outside the file, such as a wrong `--set`.
  std::string message;
  std::string hint; ///< What to write instead; may be empty.
  std::vector<Note> notes;
};

class Diagnostics {
public:
  /// After this many errors the rest is counted but not kept.
  static constexpr size_t kMaxErrors = 20;

  explicit Diagnostics(const SourceFile &file) : file_(file) {}

  void error(SourceRange range, std::string message, std::string hint = "", std::vector<Note> notes = {});
  void warning(SourceRange range, std::string message, std::string hint = "");
  /// An error with no place in the file.
  void error(std::string message, std::string hint = "");

  bool hasErrors() const { return errorCount_ != 0; }
  /// True when further errors would not be kept: a good moment to stop looking.
  bool isFull() const { return errorCount_ >= kMaxErrors; }
  const std::vector<Diagnostic> &all() const { return diagnostics_; }
  const SourceFile &file() const { return file_; }

  /// All diagnostics in the order of their places in the file.
  std::string render() const;

private:
  void add(Diagnostic diagnostic);

  const SourceFile &file_;
  std::vector<Diagnostic> diagnostics_;
  /// A block used many times repeats its errors; each is reported once.
  std::set<std::pair<size_t, std::string>> seen_;
  size_t errorCount_ = 0;
};

} // namespace oriel::frontend

#endif
