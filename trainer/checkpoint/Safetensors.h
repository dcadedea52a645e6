// Reads and writes safetensors files: `u64 header length | JSON header | tensor bytes`.
//
// The reader is strict, because every other promise about weights rests on it: the header is valid UTF-8 JSON of at
// most 100 MB, no key appears twice, every tensor has exactly shape x dtype bytes, and the tensors cover the data
// section without holes or overlaps up to the last byte of the file. Anything else is an InvalidArgument that names the
// file and the tensor. The bytes stay in the mapped file; nothing is copied.
//
// It does not know what the tensors mean: checkpoints and exports are built on top (CheckpointStore.h, ExportModel.h).
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::trainer {

enum class TensorType { F32, BF16, F16, I32, I64 };

/// The name in a safetensors header, e.g. "BF16".
std::string_view tensorTypeName(TensorType type);
size_t tensorTypeBytes(TensorType type);

/// One tensor of an open file; valid as long as the SafetensorsFile lives.
struct Tensor {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data; // little endian, row major
  size_t fileOffset = 0;           // of data, from the start of the file

  int64_t elements() const;
  /// The values widened (F32, BF16, F16) or converted (I32, I64) to float.
  std::vector<float> toFloats() const;
  /// The values of an I32 or I64 tensor; floats are truncated toward zero.
  std::vector<int64_t> toInts() const;
};

/// A mapped, fully validated file. Move only; reading is thread safe.
class SafetensorsFile {
public:
  static absl::StatusOr<SafetensorsFile> open(const std::string &path);

  /// In file order.
  std::span<const Tensor> tensors() const { return tensors_; }
  /// Null when there is no tensor of that name.
  const Tensor *find(std::string_view name) const;
  /// NotFound, naming the file, when there is none.
  absl::StatusOr<const Tensor *> get(std::string_view name) const;
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  const std::string &path() const { return path_; }

private:
  std::string path_;
  std::shared_ptr<const std::byte> mapping_; // unmaps when the last owner goes
  std::vector<Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A tensor to write: `data` has shape x type bytes and outlives the call.
struct TensorToWrite {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Writes `path` (truncating it), tensors in the given order, each 8-byte aligned by a padded header, and fsyncs the
/// file. The caller fsyncs the directory and renames. Every I/O error, and a failed fsync above all, is returned.
absl::Status writeSafetensors(const std::string &path, std::span<const TensorToWrite> tensors,
                              const std::map<std::string, std::string> &metadata = {});

} // namespace oriel::trainer
