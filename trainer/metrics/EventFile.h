// TensorBoard event files, written without TensorFlow: TFRecord framing (u64 length, masked CRC-32C of it, payload,
// masked CRC-32C of the payload) around hand-encoded Event messages.
#pragma once

#include "trainer/metrics/AppendFile.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oriel::trainer {

/// CRC-32C (Castagnoli) of the bytes; "123456789" gives 0xe3069283.
uint32_t crc32c(std::string_view bytes);
/// The rotation and offset that TFRecord puts on a CRC.
uint32_t maskedCrc32c(std::string_view bytes);

/// One TFRecord around a payload.
std::string tfRecord(std::string_view payload);

class EventFile {
public:
  /// Creates <dir>/events.out.tfevents.<seconds>.<host>.<pid> and writes the version event.
  static absl::StatusOr<std::unique_ptr<EventFile>> create(const std::string &dir);

  /// One event with a simple_value per scalar, written at once, or no part of it.
  absl::Status add(int64_t step, double wallSeconds, const std::vector<std::pair<std::string, double>> &scalars);
  const std::string &path() const { return file_.path(); }

private:
  explicit EventFile(AppendFile file) : file_(std::move(file)) {}

  AppendFile file_;
};

} // namespace oriel::trainer
