// One pass over the mapped shards into one writer; of the ids only the document that is open is held.
#include "trainer/data/ImportShards.h"
#include "trainer/data/TokenFile.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <array>
#include <cstring>

namespace oriel::trainer {
namespace {

struct ShardKind {
  int32_t magic, version;
  size_t idBytes;
  int32_t separator, vocab;
  std::string_view tokenizer;
};

constexpr std::array<ShardKind, 2> shardKinds = {{{20240520, 1, 2, 50256, 50257, "GPT-2"},
                                                  {20240801, 7, 4, 128000, 128256, "Llama 3"}}};
constexpr size_t headerBytes = 256 * sizeof(int32_t);

absl::Status malformed(const std::string &path, const std::string &why) {
  return absl::InvalidArgumentError(fmt::format("{}: not a valid shard of llm.c: {}", path, why));
}

/// The kind that a shard's header names. The size of the file is checked against its count of tokens.
absl::StatusOr<const ShardKind *> readHeader(const std::string &path, absl::Span<const std::byte> bytes) {
  if (bytes.size() < headerBytes)
    return malformed(path, fmt::format("{} bytes are fewer than the {} of the header", bytes.size(), headerBytes));
  int32_t header[3];
  std::memcpy(header, bytes.data(), sizeof(header));
  const auto [magic, version, tokens] = header;
  for (const ShardKind &kind : shardKinds) {
    if (magic != kind.magic)
      continue;
    if (version != kind.version)
      return malformed(path, fmt::format("version {} at offset 4 is not {}", version, kind.version));
    if (tokens < 0 || bytes.size() != headerBytes + static_cast<size_t>(tokens) * kind.idBytes)
      return malformed(path, fmt::format("{} tokens of {} bytes (offset 8) do not fill the {} bytes after the header",
                                         tokens, kind.idBytes, bytes.size() - headerBytes));
    return &kind;
  }
  return malformed(path, fmt::format("it begins with {} where {} or {} is expected (offset 0)", magic,
                                     shardKinds[0].magic, shardKinds[1].magic));
}

/// Cuts the stream of ids at the separators.
class DocumentCutter {
public:
  DocumentCutter(TokenFileWriter &writer, int32_t separator) : writer_(writer), separator_(separator) {}

  absl::Status add(int32_t id) {
    if (id != separator_) {
      open_.push_back(id);
      return absl::OkStatus();
    }
    return close();
  }

  absl::Status close() {
    if (open_.empty())
      return absl::OkStatus();
    open_.push_back(separator_);
    absl::Status status = writer_.addDocument(open_);
    open_.clear();
    return status;
  }

private:
  TokenFileWriter &writer_;
  int32_t separator_;
  std::vector<int32_t> open_;
};

uint32_t idAt(const std::byte *at, size_t idBytes) {
  uint32_t id = 0;
  std::memcpy(&id, at, idBytes);
  return id;
}

absl::Status addShard(const std::string &path, absl::Span<const std::byte> bytes, size_t idBytes, int32_t vocab,
                      DocumentCutter &cutter) {
  for (size_t at = headerBytes; at < bytes.size(); at += idBytes) {
    const uint32_t id = idAt(bytes.data() + at, idBytes);
    if (id >= static_cast<uint32_t>(vocab))
      return absl::InvalidArgumentError(
          fmt::format("{}: token {} at byte offset {} is outside the vocabulary of {} (--vocab)", path, id, at, vocab));
    ORIEL_RETURN_IF_ERROR(cutter.add(static_cast<int32_t>(id)));
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<TokenSet> importShards(const ImportOptions &options, const std::string &prefix) {
  if (options.shards.empty())
    return absl::InvalidArgumentError("no shard to import");
  std::vector<runtime::MappedFile> files;
  const ShardKind *kind = nullptr;
  for (const std::string &path : options.shards) {
    ORIEL_ASSIGN_OR_RETURN(runtime::MappedFile file, runtime::MappedFile::open(path));
    ORIEL_ASSIGN_OR_RETURN(const ShardKind *found, readHeader(path, file.bytes()));
    if (kind && found != kind)
      return absl::InvalidArgumentError(fmt::format("{}: holds ids of {}, {} of {}: import them apart", path,
                                                    found->tokenizer, options.shards.front(), kind->tokenizer));
    kind = found;
    files.push_back(std::move(file));
  }
  const int32_t vocab = options.vocab.value_or(kind->vocab), separator = options.separator.value_or(kind->separator);
  if (separator < 0 || separator >= vocab)
    return absl::InvalidArgumentError(
        fmt::format("the separator {} (--separator) is outside the vocabulary of {} (--vocab)", separator, vocab));
  ORIEL_ASSIGN_OR_RETURN(TokenFileWriter writer, TokenFileWriter::create(prefix, vocab));
  DocumentCutter cutter(writer, separator);
  for (size_t i = 0; i < files.size(); ++i)
    ORIEL_RETURN_IF_ERROR(addShard(options.shards[i], files[i].bytes(), kind->idBytes, vocab, cutter));
  ORIEL_RETURN_IF_ERROR(cutter.close());
  if (writer.tokenCount() == 0)
    return absl::InvalidArgumentError(fmt::format("{} would be empty: the shards hold no document", prefix));
  const TokenSet set{prefix, writer.documentCount(), writer.tokenCount()};
  ORIEL_RETURN_IF_ERROR(writer.finish());
  return set;
}

} // namespace oriel::trainer
