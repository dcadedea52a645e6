// A folder in the system's temporary one that goes away with its owner, or with the program when a signal ends it.
#ifndef ORIEL_RUNTIME_BASE_TEMPORARYFOLDER_H
#define ORIEL_RUNTIME_BASE_TEMPORARYFOLDER_H

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <atomic>
#include <string>
#include <utility>

namespace oriel::runtime {

/// From the first one on, SIGINT, SIGTERM and SIGHUP remove what is there before they end the program, but those that
/// the program handles or ignores by then. Movable, to one owner. Thread safe.
class TemporaryFolder {
public:
  /// `prefix`-XXXXXX in $TMPDIR or /tmp, empty. Errors: those of mkdtemp(3).
  static absl::StatusOr<TemporaryFolder> create(absl::string_view prefix);

  TemporaryFolder(TemporaryFolder &&other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  TemporaryFolder &operator=(TemporaryFolder &&other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~TemporaryFolder();

  const std::string &path() const;

private:
  struct Entry;
  explicit TemporaryFolder(Entry *entry) : entry_(entry) {}
  static void removeAllAndEnd(int signal);
  static std::atomic<Entry *> all;

  Entry *entry_;
};

} // namespace oriel::runtime

#endif
