// Entries: the number of parts, their sizes (each of 8 bytes), the parts, and 32 hex digits of the hash of all that.
#include "compiler/codegen/store/KernelStore.h"

#include "dialects/tile/TileOps.h"
#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>

namespace oriel::codegen {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

static constexpr auto sweepInterval = 1h, useInterval = 24h, unusedInterval = 30 * 24h;
static constexpr size_t checksumBytes = 32;

static void appendNumber(std::string &bytes, uint64_t number) {
  bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
}

static std::string encode(const KernelStore::Parts &parts) {
  std::string bytes;
  appendNumber(bytes, parts.size());
  for (const std::string &part : parts)
    appendNumber(bytes, part.size());
  for (const std::string &part : parts)
    bytes += part;
  return bytes + runtime::hashHex(bytes);
}

static std::optional<KernelStore::Parts> decode(llvm::StringRef bytes) {
  llvm::StringRef checksum = bytes.take_back(checksumBytes);
  bytes = bytes.drop_back(checksum.size());
  if (runtime::hashHex({bytes.data(), bytes.size()}) != checksum)
    return std::nullopt;
  auto takeNumber = [&] {
    uint64_t number = 0;
    llvm::StringRef from = bytes.take_front(sizeof(number));
    std::memcpy(&number, from.data(), from.size());
    bytes = bytes.drop_front(from.size());
    return number;
  };
  std::vector<uint64_t> sizes(std::min<uint64_t>(takeNumber(), bytes.size() / sizeof(uint64_t)));
  for (uint64_t &size : sizes)
    size = takeNumber();
  KernelStore::Parts parts;
  for (uint64_t size : sizes) {
    parts.push_back(bytes.take_front(size).str());
    bytes = bytes.drop_front(parts.back().size());
  }
  return parts;
}

/// How long ago a file was used or written; nothing where there is none.
static std::optional<fs::file_time_type::duration> ageOf(const fs::path &path) {
  std::error_code error;
  fs::file_time_type time = fs::last_write_time(path, error);
  if (error)
    return std::nullopt;
  return fs::file_time_type::clock::now() - time;
}

static void touch(const fs::path &path) {
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

/// The generic form: no op's own syntax can leave out what tells two kernels apart.
std::string KernelStore::keyOf(tile::KernelOp kernel, llvm::ArrayRef<std::string> how) const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, mlir::OpPrintingFlags().printGenericOpForm().useLocalScope().enableDebugInfo(false));
  runtime::Hasher hasher;
  hasher.addField(maker_).addField(text);
  for (const std::string &fact : how)
    hasher.addField(fact);
  return hasher.hex();
}

std::optional<KernelStore::Parts> KernelStore::find(const std::string &key) const {
  if (folder_.empty() || maker_.empty())
    return std::nullopt;
  std::string path = folder_ + "/" + key;
  absl::StatusOr<std::string> bytes = runtime::readFile(path);
  std::optional<Parts> parts = bytes.ok() ? decode(*bytes) : std::nullopt;
  if (parts && ageOf(path) > useInterval)
    touch(path);
  return parts;
}

void KernelStore::keep(const std::string &key, const Parts &parts) const {
  if (folder_.empty() || maker_.empty() || !runtime::makeFolders(folder_).ok())
    return;
  if (runtime::replaceFile(folder_ + "/" + key, encode(parts)).ok())
    sweepNowAndThen();
}

void KernelStore::sweepNowAndThen() const {
  if (isSwept_.exchange(true))
    return;
  std::string stamp = folder_ + "/swept";
  std::optional<fs::file_time_type::duration> age = ageOf(stamp);
  if ((!age || *age > sweepInterval) && runtime::replaceFile(stamp, "").ok())
    sweep();
}

void KernelStore::sweep() const {
  struct Entry {
    fs::path path;
    fs::file_time_type::duration age;
    int64_t bytes;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone; // another compiler sweeps too
    auto bytes = static_cast<int64_t>(it->file_size(gone));
    std::optional<fs::file_time_type::duration> age = gone ? std::nullopt : ageOf(it->path());
    if (!age)
      continue;
    entries.push_back({it->path(), *age, bytes});
    total += bytes;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) { return a.age > b.age; });
  for (const Entry &entry : entries) {
    if (entry.age <= unusedInterval && total <= mostBytes_)
      break;
    fs::remove(entry.path, error);
    total -= entry.bytes;
  }
}

} // namespace oriel::codegen
