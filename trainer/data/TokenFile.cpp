// Reading: the index is checked completely against itself and the size of .bin when it is opened.
#include "trainer/data/TokenFile.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <cstring>

namespace oriel::trainer {
namespace {

constexpr std::string_view magic("MMIDIDX\0\0", 9);

absl::Status malformed(const std::string &path, const std::string &why) {
  return absl::InvalidArgumentError(fmt::format("{}: not a valid token index: {}", path, why));
}

/// Little-endian values out of the index, one after the other. Sizes are checked before anything is read.
class IndexReader {
public:
  explicit IndexReader(absl::Span<const std::byte> bytes) : bytes_(bytes) {}

  size_t left() const { return bytes_.size() - at_; }
  template <typename T> T next() {
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string_view text(size_t size) {
    std::string_view view(reinterpret_cast<const char *>(bytes_.data()) + at_, size);
    at_ += size;
    return view;
  }
  /// An array of `count` values that starts here; moves behind it.
  const std::byte *array(size_t bytes) {
    const std::byte *begin = bytes_.data() + at_;
    at_ += bytes;
    return begin;
  }

private:
  absl::Span<const std::byte> bytes_;
  size_t at_ = 0;
};

template <typename T> T elementAt(const std::byte *array, size_t index) {
  T value;
  std::memcpy(&value, array + index * sizeof(T), sizeof(T));
  return value;
}

struct Index {
  TokenType type = TokenType::U16;
  uint64_t sequences = 0, bounds = 0; // bounds: entries of the document list
  const std::byte *lengths = nullptr, *pointers = nullptr, *documents = nullptr;
};

size_t bytesOf(TokenType type) { return type == TokenType::U16 ? 2 : 4; }

absl::StatusOr<Index> readHeader(const std::string &path, absl::Span<const std::byte> bytes) {
  IndexReader reader(bytes);
  constexpr size_t headerBytes = magic.size() + 8 + 1 + 8 + 8;
  if (bytes.size() < headerBytes)
    return malformed(path, fmt::format("{} bytes are fewer than the {} of the header", bytes.size(), headerBytes));
  if (reader.text(magic.size()) != magic)
    return malformed(path, "it does not begin with MMIDIDX (offset 0)");
  if (uint64_t version = reader.next<uint64_t>(); version != 1)
    return malformed(path, fmt::format("version {} at offset 9 is not 1", version));
  uint8_t code = reader.next<uint8_t>();
  if (code != static_cast<uint8_t>(TokenType::I32) && code != static_cast<uint8_t>(TokenType::U16))
    return malformed(path, fmt::format("dtype code {} at offset 17 is neither 4 (i32) nor 8 (u16)", code));
  Index index;
  index.type = static_cast<TokenType>(code);
  index.sequences = reader.next<uint64_t>();
  index.bounds = reader.next<uint64_t>();
  // Divide instead of multiplying: counts come from the file and may be anything.
  const uint64_t left = reader.left();
  if (index.sequences > left / 12 || index.bounds > (left - index.sequences * 12) / 8 ||
      index.sequences * 12 + index.bounds * 8 != left)
    return malformed(path, fmt::format("{} sequences and {} document bounds do not fill the {} bytes after the header",
                                       index.sequences, index.bounds, left));
  if (index.bounds == 0)
    return malformed(path, "the list of documents is empty; it must begin with 0");
  index.lengths = reader.array(index.sequences * 4);
  index.pointers = reader.array(index.sequences * 8);
  index.documents = reader.array(index.bounds * 8);
  return index;
}

/// Stream position of every sequence, and of the end.
absl::StatusOr<std::vector<int64_t>> sequenceStarts(const std::string &path, const Index &index) {
  std::vector<int64_t> starts(index.sequences + 1, 0);
  for (uint64_t i = 0; i < index.sequences; ++i) {
    int32_t length = elementAt<int32_t>(index.lengths, i);
    int64_t pointer = elementAt<int64_t>(index.pointers, i);
    if (length < 0)
      return malformed(path, fmt::format("sequence {} has length {}", i, length));
    if (pointer != starts[i] * static_cast<int64_t>(bytesOf(index.type)))
      return malformed(path, fmt::format("sequence {} begins at byte {} of .bin, not where the one before it ends ({})",
                                         i, pointer, starts[i] * static_cast<int64_t>(bytesOf(index.type))));
    starts[i + 1] = starts[i] + length;
  }
  return starts;
}

absl::StatusOr<std::vector<int64_t>> documentStarts(const std::string &path, const Index &index,
                                                    const std::vector<int64_t> &sequences) {
  std::vector<int64_t> starts(index.bounds);
  int64_t last = 0;
  for (uint64_t d = 0; d < index.bounds; ++d) {
    int64_t sequence = elementAt<int64_t>(index.documents, d);
    if (sequence < last || sequence > static_cast<int64_t>(index.sequences) || (d == 0 && sequence != 0))
      return malformed(
          path, fmt::format("document bound {} is {}; bounds ascend from 0 to {}", d, sequence, index.sequences));
    starts[d] = sequences[sequence];
    last = sequence;
  }
  if (last != static_cast<int64_t>(index.sequences))
    return malformed(path, fmt::format("the documents end at sequence {} of {}", last, index.sequences));
  return starts;
}

} // namespace

absl::StatusOr<TokenFile> TokenFile::open(const std::string &prefix) {
  const std::string indexPath = prefix + ".idx";
  absl::StatusOr<runtime::MappedFile> opened = runtime::MappedFile::open(indexPath);
  if (absl::IsNotFound(opened.status()) && (prefix.ends_with(".bin") || prefix.ends_with(".idx")))
    return absl::NotFoundError(
        fmt::format("{}: there is no {}: give the prefix of a token file without its ending; of a shard of llm.c make one "
                    "with `oriel data import`",
                    prefix, indexPath));
  ORIEL_RETURN_IF_ERROR(opened.status());
  const runtime::MappedFile indexFile = *std::move(opened);
  ORIEL_ASSIGN_OR_RETURN(Index index, readHeader(indexPath, indexFile.bytes()));
  ORIEL_ASSIGN_OR_RETURN(std::vector<int64_t> sequences, sequenceStarts(indexPath, index));
  TokenFile file;
  ORIEL_ASSIGN_OR_RETURN(file.starts_, documentStarts(indexPath, index, sequences));
  file.type_ = index.type;
  file.binPath_ = prefix + ".bin";
  ORIEL_ASSIGN_OR_RETURN(file.bin_, runtime::MappedFile::open(file.binPath_));
  const size_t expected = static_cast<size_t>(file.tokenCount()) * bytesOf(file.type_);
  if (file.bin_.bytes().size() != expected)
    return absl::InvalidArgumentError(fmt::format("{}: {} at offset {}: the index needs {} bytes", file.binPath_,
                                                  file.bin_.bytes().size() < expected ? "truncated" : "too long",
                                                  file.bin_.bytes().size(), expected));
  return file;
}

int64_t TokenFile::documentOf(int64_t position) const {
  // The last document that starts at or before the position: empty ones before it share its start.
  return std::upper_bound(starts_.begin(), starts_.end(), position) - starts_.begin() - 1;
}

absl::Status TokenFile::read(int64_t first, std::span<int32_t> out, int32_t vocab) const {
  const int64_t count = static_cast<int64_t>(out.size());
  if (first < 0 || first > tokenCount() - count)
    return absl::OutOfRangeError(
        fmt::format("{}: tokens [{}, {}) of {}", binPath_, first, first + count, tokenCount()));
  const std::byte *base = bin_.bytes().data() + static_cast<size_t>(first) * bytesOf(type_);
  uint32_t worst = 0;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = type_ == TokenType::U16 ? elementAt<uint16_t>(base, i) : elementAt<int32_t>(base, i);
    worst = std::max(worst, static_cast<uint32_t>(out[i])); // a negative id becomes a huge one
  }
  if (worst < static_cast<uint32_t>(vocab))
    return absl::OkStatus();
  for (int64_t i = 0; i < count; ++i)
    if (out[i] < 0 || out[i] >= vocab)
      return absl::InvalidArgumentError(
          fmt::format("{}: token {} at byte offset {} is outside the vocabulary of {}: was the text tokenized with "
                      "another tokenizer?",
                      binPath_, out[i], static_cast<size_t>(first + i) * bytesOf(type_), vocab));
  return absl::OkStatus();
}

} // namespace oriel::trainer
