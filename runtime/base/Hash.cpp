// XXH3-128 by libxxhash.
#include "runtime/base/Hash.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "absl/strings/escaping.h"

#include <algorithm>
#include <sys/mman.h>
#include <xxhash.h>

namespace oriel::runtime {

static std::string toHex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char *>(canonical.digest), sizeof(canonical.digest)));
}

std::string hashHex(absl::string_view bytes) { return toHex(XXH3_128bits(bytes.data(), bytes.size())); }

/// Piece by piece, each given back at once: a large file would else count as memory of this process.
absl::StatusOr<std::string> hashFile(const std::string &path) {
  constexpr size_t pieceBytes = size_t(4) << 20; // whole pages
  ORIEL_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  Hasher hasher;
  for (absl::string_view rest = file.text(); !rest.empty(); rest.remove_prefix(std::min(pieceBytes, rest.size()))) {
    absl::string_view piece = rest.substr(0, pieceBytes);
    hasher.add(piece);
    ::madvise(const_cast<char *>(piece.data()), piece.size(), MADV_DONTNEED); // the mapping is read only
  }
  return hasher.hex();
}

struct Hasher::State {
  XXH3_state_t *state;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  state_->state = XXH3_createState();
  XXH3_128bits_reset(state_->state);
}

Hasher::~Hasher() { XXH3_freeState(state_->state); }

Hasher &Hasher::add(absl::string_view bytes) {
  XXH3_128bits_update(state_->state, bytes.data(), bytes.size());
  return *this;
}

Hasher &Hasher::addField(absl::string_view bytes) {
  uint64_t length = bytes.size();
  XXH3_128bits_update(state_->state, &length, sizeof(length));
  return add(bytes);
}

std::string Hasher::hex() const { return toHex(XXH3_128bits_digest(state_->state)); }

} // namespace oriel::runtime
