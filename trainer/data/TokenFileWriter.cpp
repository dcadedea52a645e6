// Writing: both files grow under temporary names; finish() makes them durable and renames them, .idx last, so that an
// index never describes a .bin that is not there.
#include "trainer/data/TokenFile.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <unistd.h>
#include <utility>

namespace oriel::trainer {
namespace {

std::string temporaryName(const std::string &path) { return fmt::format("{}.tmp-{}", path, ::getpid()); }

template <typename T> void append(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

} // namespace

TokenFileWriter::TokenFileWriter(std::string prefix, TokenType type, int32_t vocab, std::FILE *bin)
    : prefix_(std::move(prefix)), type_(type), vocab_(vocab), bin_(bin) {}

TokenFileWriter::TokenFileWriter(TokenFileWriter &&other) noexcept
    : prefix_(std::move(other.prefix_)), type_(other.type_), vocab_(other.vocab_),
      bin_(std::exchange(other.bin_, nullptr)), lengths_(std::move(other.lengths_)), tokens_(other.tokens_) {}

TokenFileWriter::~TokenFileWriter() {
  if (!bin_)
    return;
  std::fclose(bin_);
  ::unlink(temporaryName(prefix_ + ".bin").c_str());
}

absl::StatusOr<TokenFileWriter> TokenFileWriter::create(const std::string &prefix, int32_t vocab) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runtime::folderOf(prefix)));
  const std::string path = temporaryName(prefix + ".bin");
  std::FILE *bin = std::fopen(path.c_str(), "wb");
  if (!bin)
    return runtime::errnoStatus(path);
  return TokenFileWriter(prefix, vocab <= 65536 ? TokenType::U16 : TokenType::I32, vocab, bin);
}

absl::Status TokenFileWriter::addDocument(std::span<const int32_t> ids) {
  if (ids.size() > INT32_MAX)
    return absl::InvalidArgumentError(
        fmt::format("{}: a document of {} tokens is longer than the format allows", prefix_, ids.size()));
  std::string bytes;
  bytes.reserve(ids.size() * 4);
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_)
      return absl::InvalidArgumentError(fmt::format("{}: token {} of document {} is outside the vocabulary of {}",
                                                    prefix_, id, lengths_.size(), vocab_));
    if (type_ == TokenType::U16)
      append(bytes, static_cast<uint16_t>(id));
    else
      append(bytes, id);
  }
  if (std::fwrite(bytes.data(), 1, bytes.size(), bin_) != bytes.size())
    return runtime::errnoStatus(prefix_ + ".bin");
  lengths_.push_back(static_cast<int32_t>(ids.size()));
  tokens_ += static_cast<int64_t>(ids.size());
  return absl::OkStatus();
}

absl::Status TokenFileWriter::writeIndex(const std::string &path) const {
  std::string out("MMIDIDX\0\0", 9);
  append(out, uint64_t(1));
  append(out, static_cast<uint8_t>(type_));
  append(out, static_cast<uint64_t>(lengths_.size()));
  append(out, static_cast<uint64_t>(lengths_.size() + 1));
  for (int32_t length : lengths_)
    append(out, length);
  int64_t pointer = 0;
  for (int32_t length : lengths_) {
    append(out, pointer);
    pointer += static_cast<int64_t>(length) * (type_ == TokenType::U16 ? 2 : 4);
  }
  for (int64_t document = 0; document <= static_cast<int64_t>(lengths_.size()); ++document)
    append(out, document);
  return runtime::writeFileAtomically(path, out);
}

absl::Status TokenFileWriter::finish() {
  const std::string path = prefix_ + ".bin", temporary = temporaryName(path);
  const bool flushed = std::fflush(bin_) == 0 && ::fsync(::fileno(bin_)) == 0;
  if (!flushed)
    return runtime::errnoStatus(path);
  ORIEL_RETURN_IF_ERROR(runtime::renameDurably(temporary, path));
  std::fclose(std::exchange(bin_, nullptr));
  return writeIndex(prefix_ + ".idx");
}

} // namespace oriel::trainer
