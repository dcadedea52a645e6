// The safetensors format: validation first, then views into the mapping. The writer is the mirror image.
#include "trainer/checkpoint/Safetensors.h"

#include "fmt/format.h"
#include "nlohmann/json.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace oriel::trainer {
namespace {

using Json = nlohmann::json;

constexpr uint64_t maxHeaderBytes = 100'000'000;
constexpr size_t lengthBytes = 8;

absl::Status malformed(const std::string &path, const std::string &why) {
  return absl::InvalidArgumentError(fmt::format("{}: not a valid safetensors file: {}", path, why));
}

absl::Status systemError(const std::string &path, const char *call) {
  int error = errno;
  return absl::ErrnoToStatus(error, fmt::format("{}: {}", path, call));
}

std::optional<TensorType> typeFromName(std::string_view name) {
  for (TensorType type : {TensorType::F32, TensorType::BF16, TensorType::F16, TensorType::I32, TensorType::I64})
    if (tensorTypeName(type) == name)
      return type;
  return std::nullopt;
}

/// shape x size in bytes, or nothing on overflow.
std::optional<uint64_t> byteCount(const std::vector<int64_t> &shape, TensorType type) {
  uint64_t bytes = tensorTypeBytes(type);
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes))
      return std::nullopt;
  return bytes;
}

/// Parses JSON and refuses a key that occurs twice in any object (the library would keep the last silently).
class DuplicateKeyGuard {
public:
  bool operator()(int depth, Json::parse_event_t event, Json &parsed) {
    if (event == Json::parse_event_t::object_start)
      keys_.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      keys_.pop_back();
    else if (event == Json::parse_event_t::key && !keys_.empty() && duplicate_.empty())
      if (!keys_.back().insert(parsed.get_ref<const std::string &>()).second)
        duplicate_ = parsed.get_ref<const std::string &>();
    return true;
  }
  const std::string &duplicate() const { return duplicate_; }

private:
  std::vector<std::set<std::string>> keys_;
  std::string duplicate_;
};

/// JSON nesting deeper than this is no tensor header; the parser recurses nowhere, but values are destroyed
/// recursively.
bool nestsTooDeep(std::string_view text) {
  int depth = 0;
  for (char c : text) {
    depth += c == '{' || c == '[';
    depth -= c == '}' || c == ']';
    if (depth > 16)
      return true;
  }
  return false;
}

absl::StatusOr<Json> parseHeader(const std::string &path, std::string_view text) {
  if (nestsTooDeep(text))
    return malformed(path, "the header nests too deep");
  DuplicateKeyGuard guard;
  Json header = Json::parse(text.begin(), text.end(), std::ref(guard), /*allow_exceptions=*/false);
  if (header.is_discarded())
    return malformed(path, "the header is not valid UTF-8 JSON");
  if (!header.is_object())
    return malformed(path, "the header is not a JSON object");
  if (!guard.duplicate().empty())
    return malformed(path, fmt::format("tensor or key '{}' appears twice in the header", guard.duplicate()));
  return header;
}

absl::Status readMetadata(const std::string &path, const Json &object, std::map<std::string, std::string> &metadata) {
  if (!object.is_object())
    return malformed(path, "__metadata__ is not an object");
  for (const auto &[key, value] : object.items()) {
    if (!value.is_string())
      return malformed(path, fmt::format("__metadata__ key '{}' is not a string", key));
    metadata[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

struct Extent {
  uint64_t begin = 0, end = 0;
};

/// One header entry: dtype, shape and offsets, checked against each other and the size of the data section.
absl::StatusOr<Extent> readEntry(const std::string &path, const std::string &name, const Json &entry,
                                 uint64_t dataBytes, Tensor &tensor) {
  auto bad = [&](const std::string &why) { return malformed(path, fmt::format("tensor '{}': {}", name, why)); };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    return bad("needs dtype, shape and data_offsets");
  if (entry.size() != 3)
    return bad("has a key other than dtype, shape and data_offsets");
  const Json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
  std::optional<TensorType> type =
      dtype.is_string() ? typeFromName(dtype.get_ref<const std::string &>()) : std::nullopt;
  if (!type)
    return bad(fmt::format("dtype {} is not one of F32, BF16, F16, I32, I64", dtype.dump(-1, ' ', true)));
  tensor.type = *type;
  tensor.name = name;
  if (!shape.is_array())
    return bad("shape is not an array");
  for (const Json &size : shape) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > INT64_MAX)
      return bad("shape holds something other than sizes");
    tensor.shape.push_back(static_cast<int64_t>(size.get<uint64_t>()));
  }
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    return bad("data_offsets is not a pair of offsets");
  Extent extent{offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
  if (extent.begin > extent.end || extent.end > dataBytes)
    return bad(fmt::format("data_offsets [{}, {}] lie outside the {} data bytes of the file", extent.begin, extent.end,
                           dataBytes));
  std::optional<uint64_t> bytes = byteCount(tensor.shape, tensor.type);
  if (!bytes)
    return bad("shape overflows");
  if (*bytes != extent.end - extent.begin)
    return bad(fmt::format("shape and dtype need {} bytes, data_offsets hold {}", *bytes, extent.end - extent.begin));
  return extent;
}

/// Sorts by place and refuses holes, overlaps and bytes behind the last tensor.
absl::Status checkCoverage(const std::string &path, std::vector<std::pair<Extent, Tensor>> &entries,
                           uint64_t dataBytes) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto &a, const auto &b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  uint64_t expected = 0;
  for (const auto &[extent, tensor] : entries) {
    if (extent.begin != expected)
      return malformed(path, fmt::format("tensor '{}' begins at byte {}, {} what precedes it ends at {}", tensor.name,
                                         extent.begin,
                                         extent.begin < expected ? "overlapping:" : "leaving a hole:", expected));
    expected = extent.end;
  }
  if (expected != dataBytes)
    return malformed(path, fmt::format("{} bytes follow the last tensor", dataBytes - expected));
  return absl::OkStatus();
}

struct Mapped {
  std::shared_ptr<const std::byte> bytes;
  size_t size = 0;
};

absl::StatusOr<Mapped> mapFile(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return systemError(path, "open");
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(fmt::format("{}: not a regular file", path));
  }
  size_t size = static_cast<size_t>(info.st_size);
  if (size < lengthBytes) {
    ::close(fd);
    return malformed(path, fmt::format("{} bytes are too short for a header length", size));
  }
  void *address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (address == MAP_FAILED)
    return systemError(path, "mmap");
  auto unmap = [size](const std::byte *p) { ::munmap(const_cast<std::byte *>(p), size); };
  return Mapped{std::shared_ptr<const std::byte>(static_cast<const std::byte *>(address), unmap), size};
}

float halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits >> 15) << 31, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0)
    return std::copysign(std::ldexp(static_cast<float>(fraction), -24), std::bit_cast<float>(sign | 1u));
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

template <typename T> T loadAt(std::span<const std::byte> data, size_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof(T), sizeof(T));
  return value;
}

double valueAt(const Tensor &tensor, size_t i) {
  switch (tensor.type) {
  case TensorType::F32:
    return loadAt<float>(tensor.data, i);
  case TensorType::BF16:
    return std::bit_cast<float>(uint32_t(loadAt<uint16_t>(tensor.data, i)) << 16);
  case TensorType::F16:
    return halfToFloat(loadAt<uint16_t>(tensor.data, i));
  case TensorType::I32:
    return loadAt<int32_t>(tensor.data, i);
  case TensorType::I64:
    return static_cast<double>(loadAt<int64_t>(tensor.data, i));
  }
  return 0;
}

} // namespace

std::string_view tensorTypeName(TensorType type) {
  switch (type) {
  case TensorType::F32:
    return "F32";
  case TensorType::BF16:
    return "BF16";
  case TensorType::F16:
    return "F16";
  case TensorType::I32:
    return "I32";
  case TensorType::I64:
    return "I64";
  }
  return "?";
}

size_t tensorTypeBytes(TensorType type) {
  switch (type) {
  case TensorType::F32:
  case TensorType::I32:
    return 4;
  case TensorType::BF16:
  case TensorType::F16:
    return 2;
  case TensorType::I64:
    return 8;
  }
  return 0;
}

int64_t Tensor::elements() const { return static_cast<int64_t>(data.size() / tensorTypeBytes(type)); }

std::vector<float> Tensor::toFloats() const {
  std::vector<float> values(elements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(valueAt(*this, i));
  return values;
}

std::vector<int64_t> Tensor::toInts() const {
  std::vector<int64_t> values(elements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = type == TensorType::I64 ? loadAt<int64_t>(data, i) : static_cast<int64_t>(valueAt(*this, i));
  return values;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  absl::StatusOr<Mapped> mapped = mapFile(path);
  if (!mapped.ok())
    return mapped.status();
  const std::byte *base = mapped->bytes.get();
  uint64_t headerBytes = loadAt<uint64_t>({base, mapped->size}, 0);
  if (headerBytes > maxHeaderBytes)
    return malformed(path,
                     fmt::format("the header claims {} bytes; at most {} are allowed", headerBytes, maxHeaderBytes));
  if (headerBytes > mapped->size - lengthBytes)
    return malformed(path, fmt::format("the header claims {} bytes, the file has {} after the length", headerBytes,
                                       mapped->size - lengthBytes));
  std::string_view text(reinterpret_cast<const char *>(base) + lengthBytes, headerBytes);
  absl::StatusOr<Json> header = parseHeader(path, text);
  if (!header.ok())
    return header.status();

  SafetensorsFile file;
  file.path_ = path;
  file.mapping_ = mapped->bytes;
  const size_t dataOffset = lengthBytes + headerBytes, dataBytes = mapped->size - dataOffset;
  std::vector<std::pair<Extent, Tensor>> entries;
  for (const auto &[name, entry] : header->items()) {
    if (name == "__metadata__") {
      if (absl::Status status = readMetadata(path, entry, file.metadata_); !status.ok())
        return status;
      continue;
    }
    Tensor tensor;
    absl::StatusOr<Extent> extent = readEntry(path, name, entry, dataBytes, tensor);
    if (!extent.ok())
      return extent.status();
    tensor.fileOffset = dataOffset + extent->begin;
    tensor.data = {base + tensor.fileOffset, extent->end - extent->begin};
    entries.emplace_back(*extent, std::move(tensor));
  }
  if (absl::Status status = checkCoverage(path, entries, dataBytes); !status.ok())
    return status;
  for (auto &[extent, tensor] : entries)
    file.tensors_.push_back(std::move(tensor));
  return file;
}

const Tensor *SafetensorsFile::find(std::string_view name) const {
  for (const Tensor &tensor : tensors_)
    if (tensor.name == name)
      return &tensor;
  return nullptr;
}

absl::StatusOr<const Tensor *> SafetensorsFile::get(std::string_view name) const {
  if (const Tensor *tensor = find(name))
    return tensor;
  return absl::NotFoundError(fmt::format("{}: there is no tensor '{}'", path_, name));
}

namespace {

/// The length prefix and the JSON header, padded with spaces so that the data section is 8-byte aligned.
absl::StatusOr<std::string> buildHeader(const std::string &path, std::span<const TensorToWrite> tensors,
                                        const std::map<std::string, std::string> &metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite &tensor : tensors) {
    std::optional<uint64_t> bytes = byteCount(tensor.shape, tensor.type);
    if (!bytes || *bytes != tensor.data.size())
      return absl::InvalidArgumentError(fmt::format("{}: tensor '{}': {} data bytes do not match its shape and {}",
                                                    path, tensor.name, tensor.data.size(),
                                                    tensorTypeName(tensor.type)));
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      return absl::InvalidArgumentError(fmt::format("{}: tensor name '{}' is taken", path, tensor.name));
    header[tensor.name] = {
        {"dtype", tensorTypeName(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t length = text.size();
  std::string prefix(reinterpret_cast<const char *>(&length), lengthBytes);
  return prefix + text;
}

absl::Status writeAll(int fd, const std::string &path, const void *data, size_t size) {
  const char *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = ::write(fd, bytes, std::min<size_t>(size, 1u << 30));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return systemError(path, "write");
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

} // namespace

absl::Status writeSafetensors(const std::string &path, std::span<const TensorToWrite> tensors,
                              const std::map<std::string, std::string> &metadata) {
  absl::StatusOr<std::string> header = buildHeader(path, tensors, metadata);
  if (!header.ok())
    return header.status();
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0)
    return systemError(path, "open");
  absl::Status status = writeAll(fd, path, header->data(), header->size());
  for (size_t i = 0; status.ok() && i < tensors.size(); ++i)
    status = writeAll(fd, path, tensors[i].data.data(), tensors[i].data.size());
  if (status.ok() && ::fsync(fd) != 0)
    status = systemError(path, "fsync");
  if (::close(fd) != 0 && status.ok())
    status = systemError(path, "close");
  return status;
}

} // namespace oriel::trainer
