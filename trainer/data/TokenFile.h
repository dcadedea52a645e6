// Tokenized documents on disk in the Megatron indexed format, read through a map and written as a stream.
//
//   PREFIX.bin   the ids of all documents one after the other, little endian u16 or i32
//   PREFIX.idx   "MMIDIDX\0\0" | u64 version = 1 | u8 dtype (4 = i32, 8 = u16) | u64 sequences S | u64 documents D+1
//                | i32 length[S] | i64 byte offset into .bin [S] | i64 document[D+1] (indices of sequences, 0 … S)
//
// One document is one sequence here; files of others whose documents have several sequences are read as well. Opening
// checks the whole index against the size of .bin, so that no later read can leave the map.
#pragma once

#include "runtime/base/Files.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace oriel::trainer {

enum class TokenType : uint8_t { I32 = 4, U16 = 8 };

/// Move only; reading is thread safe.
class TokenFile {
public:
  static absl::StatusOr<TokenFile> open(const std::string &prefix);

  int64_t tokenCount() const { return static_cast<int64_t>(starts_.back()); }
  int64_t documentCount() const { return static_cast<int64_t>(starts_.size()) - 1; }
  TokenType type() const { return type_; }
  const std::string &binPath() const { return binPath_; }

  /// Stream position where a document starts; documentStart(documentCount()) = tokenCount().
  int64_t documentStart(int64_t document) const { return starts_[document]; }
  /// The (non-empty) document that holds the stream position.
  int64_t documentOf(int64_t position) const;

  /// Copies ids [first, first + out.size()) of the stream. InvalidArgument with path and byte offset when an id is
  /// negative or >= vocab; OutOfRange when the range leaves the stream.
  absl::Status read(int64_t first, std::span<int32_t> out, int32_t vocab) const;

private:
  TokenType type_ = TokenType::U16;
  std::string binPath_;
  runtime::MappedFile bin_;
  std::vector<int64_t> starts_; // documentCount() + 1 stream positions
};

/// Writes both files of a prefix to temporary names and renames them in finish(); without finish() nothing remains.
class TokenFileWriter {
public:
  /// u16 when every id below `vocab` fits.
  static absl::StatusOr<TokenFileWriter> create(const std::string &prefix, int32_t vocab);
  TokenFileWriter(TokenFileWriter &&) noexcept;
  TokenFileWriter &operator=(TokenFileWriter &&) = delete;
  ~TokenFileWriter();

  /// Appends one document (which should end in the end-of-document id).
  absl::Status addDocument(std::span<const int32_t> ids);
  absl::Status finish();

  int64_t tokenCount() const { return tokens_; }
  int64_t documentCount() const { return static_cast<int64_t>(lengths_.size()); }

private:
  TokenFileWriter(std::string prefix, TokenType type, int32_t vocab, std::FILE *bin);
  absl::Status writeIndex(const std::string &path) const;

  std::string prefix_;
  TokenType type_;
  int32_t vocab_;
  std::FILE *bin_;
  std::vector<int32_t> lengths_;
  int64_t tokens_ = 0;
};

} // namespace oriel::trainer
