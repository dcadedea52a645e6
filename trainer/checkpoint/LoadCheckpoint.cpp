// Reading: nothing of a checkpoint is used before all of it is right.
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/Manifest.h"
#include "trainer/checkpoint/Safetensors.h"

#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace oriel::trainer {
namespace {

constexpr std::string_view vectorNames[] = {"params", "adam_m", "adam_v"};

/// What a changed file has lost, as narrowly as its own tensor checksums allow.
std::string damagedPlace(const std::string &path) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file.ok())
    return std::string(file.status().message());
  for (const Tensor &tensor : file->tensors()) {
    auto noted = file->metadata().find("xxh3_128." + tensor.name);
    std::string actual = runtime::hashHex({reinterpret_cast<const char *>(tensor.data.data()), tensor.data.size()});
    if (noted == file->metadata().end() || noted->second != actual)
      return fmt::format("tensor '{}' (bytes {} to {}) has changed", tensor.name, tensor.fileOffset,
                         tensor.fileOffset + tensor.data.size());
  }
  return "its header has changed";
}

/// Size, checksum, structure. The order gives the most telling message first.
absl::StatusOr<SafetensorsFile> openShard(const std::string &folder, const ShardNote &note) {
  const std::string path = folder + "/" + note.file;
  std::error_code error;
  const int64_t bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error)
    return absl::DataLossError(fmt::format("{}: {}", path, error.message()));
  if (bytes != note.bytes)
    return absl::DataLossError(fmt::format("{}: {} at offset {}: the manifest says {} bytes", path,
                                           bytes < note.bytes ? "truncated" : "too long", bytes, note.bytes));
  ORIEL_ASSIGN_OR_RETURN(std::string checksum, runtime::hashFile(path));
  if (checksum != note.checksum)
    return absl::DataLossError(
        fmt::format("{}: checksum {} is not {}: {}", path, checksum, note.checksum, damagedPlace(path)));
  ORIEL_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path));
  for (const ElementRange &range : note.ranges)
    for (std::string_view vector : vectorNames) {
      ORIEL_ASSIGN_OR_RETURN(const Tensor *tensor, file.get(tensorName(vector, range.first)));
      if (tensor->type != TensorType::F32 || tensor->elements() != range.count)
        return absl::DataLossError(
            fmt::format("{}: tensor '{}' does not hold {} F32 elements", path, tensor->name, range.count));
    }
  return file;
}

struct OpenCheckpoint {
  Manifest manifest;
  std::vector<SafetensorsFile> shards;
};

absl::StatusOr<OpenCheckpoint> openCheckpoint(const std::string &folder) {
  const std::string path = folder + "/manifest.json";
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(path));
  OpenCheckpoint open;
  ORIEL_ASSIGN_OR_RETURN(open.manifest, parseManifest(text, path));
  for (const ShardNote &note : open.manifest.shards) {
    ORIEL_ASSIGN_OR_RETURN(SafetensorsFile shard, openShard(folder, note));
    open.shards.push_back(std::move(shard));
  }
  return open;
}

/// Copies the part of a saved range that falls into [first, first + out.size()), below `used`.
void copyOverlap(const Tensor &saved, int64_t savedFirst, int64_t used, int64_t first, std::span<float> out) {
  const int64_t begin = std::max(first, savedFirst);
  const int64_t end = std::min({first + static_cast<int64_t>(out.size()), savedFirst + saved.elements(), used});
  if (begin < end)
    std::memcpy(out.data() + (begin - first), saved.data.data() + (begin - savedFirst) * sizeof(float),
                static_cast<size_t>(end - begin) * sizeof(float));
}

void copyInto(const OpenCheckpoint &open, const ShardTarget &target) {
  const std::span<float> outs[] = {target.params, target.adamM, target.adamV};
  for (size_t v = 0; v < std::size(outs); ++v) {
    std::fill(outs[v].begin(), outs[v].end(), 0.0f);
    for (size_t s = 0; s < open.shards.size(); ++s)
      for (const ElementRange &range : open.manifest.shards[s].ranges)
        copyOverlap(*open.shards[s].find(tensorName(vectorNames[v], range.first)), range.first,
                    open.manifest.info.usedElements, target.first, outs[v]);
  }
}

std::string describe(const ParameterPlace &parameter) {
  return fmt::format("'{}' [{}] at {}", parameter.name, fmt::join(parameter.shape, ", "), parameter.offset);
}

/// A checkpoint of another model is refused, naming the first parameter that differs.
absl::Status checkParameters(const std::string &folder, const CheckpointInfo &info,
                             const std::vector<ParameterPlace> &expected) {
  for (size_t i = 0; i < std::max(expected.size(), info.parameters.size()); ++i) {
    std::string saved = i < info.parameters.size() ? describe(info.parameters[i]) : "nothing";
    std::string wanted = i < expected.size() ? describe(expected[i]) : "nothing";
    if (saved != wanted)
      return absl::FailedPreconditionError(fmt::format(
          "{}: is of another model: parameter {} is {} here and {} in the model", folder, i, saved, wanted));
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<CheckpointInfo> CheckpointStore::verify(const std::string &folder) {
  ORIEL_ASSIGN_OR_RETURN(OpenCheckpoint open, openCheckpoint(folder));
  return open.manifest.info;
}

absl::StatusOr<LoadedCheckpoint> CheckpointStore::load(const std::string &folder, const ShardTargets &targets,
                                                       const std::vector<ParameterPlace> *expected) {
  ORIEL_ASSIGN_OR_RETURN(OpenCheckpoint open, openCheckpoint(folder));
  if (expected)
    ORIEL_RETURN_IF_ERROR(checkParameters(folder, open.manifest.info, *expected));
  for (const ShardTarget &target : targets)
    copyInto(open, target);
  return LoadedCheckpoint{std::move(open.manifest.info), folder, {}};
}

absl::StatusOr<std::string> findGoodCheckpoint(const std::string &path, std::vector<std::string> &skipped) {
  if (std::filesystem::exists(path + "/manifest.json"))
    return path;
  CheckpointStore store(path);
  std::vector<int64_t> steps = store.steps();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    absl::StatusOr<CheckpointInfo> info = CheckpointStore::verify(store.folderOfStep(*step));
    if (info.ok())
      return store.folderOfStep(*step);
    skipped.emplace_back(info.status().message());
  }
  return absl::NotFoundError(fmt::format("{}: no {}checkpoint{}{}", path, steps.empty() ? "" : "good ",
                                         skipped.empty() ? "" : ": ", fmt::join(skipped, "; ")));
}

absl::StatusOr<LoadedCheckpoint> CheckpointStore::loadNewest(const ShardTargets &targets,
                                                             const std::vector<ParameterPlace> *expected) {
  std::vector<std::string> skipped;
  std::vector<int64_t> candidates = steps();
  for (auto step = candidates.rbegin(); step != candidates.rend(); ++step) {
    absl::StatusOr<LoadedCheckpoint> loaded = load(folderOfStep(*step), targets, expected);
    if (loaded.ok()) {
      loaded->skipped = std::move(skipped);
      return loaded;
    }
    // A good checkpoint of another model is the user's mistake, not damage: falling back would hide it.
    if (loaded.status().code() == absl::StatusCode::kFailedPrecondition)
      return loaded.status();
    skipped.emplace_back(loaded.status().message());
  }
  if (skipped.empty())
    return absl::NotFoundError(fmt::format("{}: there is no checkpoint", dir_));
  return absl::DataLossError(fmt::format("{}: no checkpoint is intact: {}", dir_, fmt::join(skipped, "; ")));
}

} // namespace oriel::trainer
