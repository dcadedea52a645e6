// XXH3-128: the checksum of packages and checkpoints and the key of the package cache. Not cryptographic.
#ifndef ORIEL_RUNTIME_BASE_HASH_H
#define ORIEL_RUNTIME_BASE_HASH_H

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <memory>
#include <string>

namespace oriel::runtime {

/// 32 lower-case hex digits (canonical, big-endian) of XXH3-128 of `bytes`.
std::string hashHex(absl::string_view bytes);

/// The same over a file's contents. An empty file has the hash of no bytes.
absl::StatusOr<std::string> hashFile(const std::string &path);

/// The hash of a sequence of pieces. `add` is plain concatenation; `addField` also mixes in the length, so that
/// ("ab","c") and ("a","bc") differ.
class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher &add(absl::string_view bytes);
  Hasher &addField(absl::string_view bytes);
  std::string hex() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace oriel::runtime

#endif
