// Writing: the two phases of a commit, and what is kept. Reading is in LoadCheckpoint.cpp.
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/Manifest.h"
#include "trainer/checkpoint/Safetensors.h"

#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>

namespace oriel::trainer {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view stepPrefix = "step-";

absl::Status removeFolder(const std::string &path) {
  std::error_code error;
  fs::remove_all(path, error); // does not follow links
  return error ? absl::ErrnoToStatus(error.value(), "remove " + path) : absl::OkStatus();
}

/// The step of a committed folder's name, or -1: "step-000000500" is one, "step-000000500.tmp-a" is not.
int64_t stepOfName(const std::string &name) {
  if (!name.starts_with(stepPrefix) || name.size() < stepPrefix.size() + 9 || name.size() > stepPrefix.size() + 18)
    return -1;
  std::string digits = name.substr(stepPrefix.size());
  if (!std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); }))
    return -1;
  return std::stoll(digits);
}

std::vector<std::string> namesIn(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

absl::Status checkTransaction(const std::string &transaction) {
  auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  if (!transaction.empty() && transaction.size() <= 128 && std::all_of(transaction.begin(), transaction.end(), allowed))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("checkpoint transaction '{}' is not a name of letters, digits, '-' and '_'", transaction));
}

std::span<const std::byte> bytesOf(std::span<const float> values) { return std::as_bytes(values); }

std::string hashOf(std::span<const std::byte> bytes) {
  return runtime::hashHex({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

/// One rank's file. Each tensor's own checksum goes into the metadata, so that a flipped bit can be named.
absl::Status writeShard(const std::string &path, const CheckpointInfo &info, const ShardSlices &slices) {
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::string> metadata{{"step", fmt::to_string(info.step)}};
  for (const ShardSlice &slice : slices)
    for (auto [vector, values] :
         {std::pair("params", slice.params), {"adam_m", slice.adamM}, {"adam_v", slice.adamV}}) {
      std::string name = tensorName(vector, slice.first);
      tensors.push_back({name, TensorType::F32, {slice.range().count}, bytesOf(values)});
      metadata[fmt::format("xxh3_128.{}", name)] = hashOf(bytesOf(values));
    }
  return writeSafetensors(path, tensors, metadata);
}

/// Puts `from` at `to`. An older folder of the same step (of a run that was started over, or damaged) changes places
/// with it in one step and is then removed, so that at no moment there is none.
absl::Status publish(const std::string &from, const std::string &to) {
  std::error_code ignored;
  if (!fs::exists(to, ignored))
    return runtime::renameDurably(from, to);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) != 0)
    return runtime::errnoStatus(fmt::format("exchange {} with {}", from, to));
  ORIEL_RETURN_IF_ERROR(runtime::syncPath(runtime::folderOf(to)));
  return removeFolder(from);
}

} // namespace

CheckpointStore::CheckpointStore(std::string dir, int keep) : dir_(std::move(dir)), keep_(std::max(1, keep)) {}

std::string CheckpointStore::folderOfStep(int64_t step) const {
  return fmt::format("{}/{}{:09}", dir_, stepPrefix, step);
}

std::string CheckpointStore::temporaryFolder(int64_t step, const std::string &transaction) const {
  return fmt::format("{}.tmp-{}", folderOfStep(step), transaction);
}

std::vector<int64_t> CheckpointStore::steps() const {
  std::vector<int64_t> steps;
  for (const std::string &name : namesIn(dir_))
    if (int64_t step = stepOfName(name); step >= 0)
      steps.push_back(step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::Status CheckpointStore::prepare(const CheckpointInfo &info, const ShardSlices &slices, int rank, int world,
                                      const std::string &transaction) {
  ORIEL_RETURN_IF_ERROR(checkTransaction(transaction));
  for (const ShardSlice &slice : slices)
    if (slice.adamM.size() != slice.params.size() || slice.adamV.size() != slice.params.size())
      return absl::InvalidArgumentError(fmt::format("checkpoint of step {} (rank {}): slices of {}, {} and {} elements",
                                                    info.step, rank, slice.params.size(), slice.adamM.size(),
                                                    slice.adamV.size()));
  const std::string folder = temporaryFolder(info.step, transaction);
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(folder));
  ShardNote note{shardFileName(rank, world), 0, "", {}};
  for (const ShardSlice &slice : slices)
    note.ranges.push_back(slice.range());
  const std::string path = folder + "/" + note.file;
  ORIEL_RETURN_IF_ERROR(writeShard(path, info, slices));
  // The checksum is of what the file system gives back, not of what was meant to be written.
  ORIEL_ASSIGN_OR_RETURN(note.checksum, runtime::hashFile(path));
  std::error_code error;
  note.bytes = static_cast<int64_t>(fs::file_size(path, error));
  if (error)
    return absl::ErrnoToStatus(error.value(), path);
  return runtime::writeFileAtomically(folder + "/" + noteFileName(rank, world),
                                      writeNote(note, info.step, transaction));
}

absl::StatusOr<std::string> CheckpointStore::commit(const CheckpointInfo &info, int world,
                                                    const std::string &transaction) {
  ORIEL_RETURN_IF_ERROR(checkTransaction(transaction));
  const std::string temporary = temporaryFolder(info.step, transaction), final = folderOfStep(info.step);
  auto attempt = [&]() -> absl::Status {
    Manifest manifest{info, {}};
    for (int rank = 0; rank < world; ++rank) {
      const std::string path = temporary + "/" + noteFileName(rank, world);
      ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(path));
      ORIEL_ASSIGN_OR_RETURN(ShardNote note, parseNote(text, path, info.step, transaction));
      manifest.shards.push_back(std::move(note));
    }
    const std::string path = temporary + "/manifest.json", text = writeManifest(manifest);
    ORIEL_RETURN_IF_ERROR(parseManifest(text, path).status()); // also checks that the shards cover everything
    ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(path, text));
    for (int rank = 0; rank < world; ++rank)
      std::remove((temporary + "/" + noteFileName(rank, world)).c_str());
    ORIEL_RETURN_IF_ERROR(runtime::syncPath(temporary));
    return publish(temporary, final);
  };
  if (absl::Status status = attempt(); !status.ok()) {
    removeFolder(temporary).IgnoreError(); // the first error is the one to tell; sweep() tries again
    return runtime::withContext(status, fmt::format("commit of checkpoint step {}", info.step));
  }
  // The checkpoint is committed; `latest` and old folders are conveniences that must not make it look failed.
  runtime::writeFileAtomically(dir_ + "/latest", fs::path(final).filename().string() + "\n").IgnoreError();
  prune().IgnoreError();
  return final;
}

absl::Status CheckpointStore::abort(int64_t step, const std::string &transaction) {
  ORIEL_RETURN_IF_ERROR(checkTransaction(transaction));
  return removeFolder(temporaryFolder(step, transaction));
}

absl::Status CheckpointStore::prune() {
  std::vector<int64_t> all = steps();
  if (all.size() <= static_cast<size_t>(keep_))
    return absl::OkStatus();
  // Old ones may go only when one of those that stay is good.
  auto isGood = [&](int64_t step) { return verify(folderOfStep(step)).ok(); };
  auto firstKept = all.end() - keep_;
  if (std::none_of(std::reverse_iterator(all.end()), std::reverse_iterator(firstKept), isGood))
    return absl::DataLossError(
        fmt::format("{}: none of the {} newest checkpoints verifies; older ones are kept", dir_, keep_));
  for (auto step = all.begin(); step != firstKept; ++step)
    ORIEL_RETURN_IF_ERROR(removeFolder(folderOfStep(*step)));
  return absl::OkStatus();
}

absl::Status CheckpointStore::sweep() {
  for (const std::string &name : namesIn(dir_))
    if (size_t mark = name.find(".tmp-"); mark != std::string::npos && stepOfName(name.substr(0, mark)) >= 0)
      ORIEL_RETURN_IF_ERROR(removeFolder(dir_ + "/" + name));
  return prune();
}

} // namespace oriel::trainer
