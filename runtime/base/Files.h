// Files as the runtime needs them: whole reads, durable atomic writes, read-only maps.
//
// "Durable" means: the bytes are fsynced before the rename and the folder after it, so that after a crash a reader sees
// the old file or the new one, never a torn one. All functions are thread safe; errors name the path.
#ifndef ORIEL_RUNTIME_BASE_FILES_H
#define ORIEL_RUNTIME_BASE_FILES_H

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace oriel::runtime {

/// The whole file as bytes. NotFound when it is absent, InvalidArgument when it is a folder.
absl::StatusOr<std::string> readFile(const std::string &path);

/// Writes `path` durably and atomically: a temporary file beside it, fsync, rename, fsync of the folder.
absl::Status writeFileAtomically(const std::string &path, absl::string_view bytes);

/// The same without fsync, for what can be made again: others see the old file or the new one, but after a crash of the
/// machine it may be torn.
absl::Status replaceFile(const std::string &path, absl::string_view bytes);

/// Writes all of `bytes` to a file descriptor, however often the system writes less than was asked.
absl::Status writeFully(int descriptor, absl::string_view bytes, const std::string &path);

/// fsync of an existing file, or of a folder (making renames and creations in it durable).
absl::Status syncPath(const std::string &path);

/// mkdir -p.
absl::Status makeFolders(const std::string &path);

/// rename(2) followed by fsync of the target's folder. Replaces an existing file, or an empty folder.
absl::Status renameDurably(const std::string &from, const std::string &to);

/// The folder part of a path ("." when it has none).
std::string folderOf(const std::string &path);

/// A whole file mapped read only. Movable; unmapped by the destructor. An empty file has an empty span.
class MappedFile {
public:
  static absl::StatusOr<MappedFile> open(const std::string &path);
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  absl::Span<const std::byte> bytes() const { return {static_cast<const std::byte *>(data_), size_}; }
  absl::string_view text() const { return {static_cast<const char *>(data_), size_}; }

private:
  void *data_ = nullptr;
  size_t size_ = 0;
};

} // namespace oriel::runtime

#endif
