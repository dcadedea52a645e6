// TFRecord framing and the few Event fields that TensorBoard reads:
//   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//   Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; }
#include "trainer/metrics/EventFile.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <unistd.h>

namespace oriel::trainer {
namespace {

constexpr std::array<uint32_t, 256> makeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1; // the Castagnoli polynomial, reflected
    table[i] = crc;
  }
  return table;
}

template <typename T> void appendRaw(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

void appendTag(std::string &out, int field, WireType type) {
  appendVarint(out, static_cast<uint64_t>(field << 3 | type));
}

void appendBytes(std::string &out, int field, std::string_view bytes) {
  appendTag(out, field, Bytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

std::string eventHead(double wallSeconds, int64_t step) {
  std::string event;
  appendTag(event, 1, Fixed64);
  appendRaw(event, wallSeconds);
  appendTag(event, 2, Varint);
  appendVarint(event, static_cast<uint64_t>(step));
  return event;
}

double wallNow() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

} // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> table = makeCrcTable();
  uint32_t crc = ~0u;
  for (char c : bytes)
    crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

uint32_t maskedCrc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

std::string tfRecord(std::string_view payload) {
  std::string record;
  appendRaw(record, static_cast<uint64_t>(payload.size()));
  appendRaw(record, maskedCrc32c(record));
  record += payload;
  appendRaw(record, maskedCrc32c(payload));
  return record;
}

absl::StatusOr<std::unique_ptr<EventFile>> EventFile::create(const std::string &dir) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(dir));
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  const double now = wallNow();
  std::string path = fmt::format("{}/events.out.tfevents.{}.{}.{}", dir, static_cast<int64_t>(now), host, ::getpid());
  ORIEL_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  std::unique_ptr<EventFile> events(new EventFile(std::move(file)));
  std::string version = eventHead(now, 0);
  appendBytes(version, 3, "brain.Event:2");
  ORIEL_RETURN_IF_ERROR(events->file_.append(tfRecord(version)));
  return events;
}

absl::Status EventFile::add(int64_t step, double wallSeconds,
                            const std::vector<std::pair<std::string, double>> &scalars) {
  std::string summary;
  for (const auto &[tag, value] : scalars) {
    std::string item;
    appendBytes(item, 1, tag);
    appendTag(item, 2, Fixed32);
    appendRaw(item, static_cast<float>(value));
    appendBytes(summary, 1, item);
  }
  std::string event = eventHead(wallSeconds, step);
  appendBytes(event, 5, summary);
  return file_.append(tfRecord(event));
}

} // namespace oriel::trainer
