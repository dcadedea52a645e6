// A checkpoint's flat vector, cut back into named tensors.
#include "trainer/checkpoint/ExportModel.h"
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/Safetensors.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"
#include "nlohmann/json.hpp"

#include <cstdio>
#include <filesystem>

namespace oriel::trainer {
namespace {

/// A step folder as it is, or the newest good one of a folder of checkpoints.
absl::StatusOr<LoadedCheckpoint> loadAny(const std::string &path, const ShardTargets &targets) {
  std::error_code ignored;
  if (std::filesystem::exists(path + "/manifest.json", ignored))
    return CheckpointStore::load(path, targets);
  return CheckpointStore(path).loadNewest(targets);
}

absl::StatusOr<std::vector<TensorToWrite>> cutParameters(const LoadedCheckpoint &checkpoint,
                                                         std::span<const float> flat) {
  std::vector<TensorToWrite> tensors;
  for (const ParameterPlace &parameter : checkpoint.info.parameters) {
    int64_t elements = 1;
    for (int64_t size : parameter.shape)
      elements *= size;
    if (parameter.offset > static_cast<int64_t>(flat.size()) - elements)
      return absl::DataLossError(fmt::format("{}: parameter '{}' lies outside the {} saved elements", checkpoint.path,
                                             parameter.name, flat.size()));
    std::span<const float> values = flat.subspan(static_cast<size_t>(parameter.offset), static_cast<size_t>(elements));
    tensors.push_back({parameter.name, TensorType::F32, parameter.shape, std::as_bytes(values)});
  }
  return tensors;
}

std::string configText(const CheckpointInfo &info) {
  nlohmann::ordered_json parameters = nlohmann::ordered_json::object();
  int64_t total = 0;
  for (const ParameterPlace &parameter : info.parameters) {
    parameters[parameter.name] = parameter.shape;
    int64_t elements = 1;
    for (int64_t size : parameter.shape)
      elements *= size;
    total += elements;
  }
  nlohmann::ordered_json config{{"format", "oriel"},        {"step", info.step},
                                {"run_id", info.runId},     {"plan_fingerprint", info.planFingerprint},
                                {"parameter_count", total}, {"parameters", parameters}};
  for (const auto &[key, value] : info.extra)
    config[key] = value;
  return config.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

} // namespace

absl::StatusOr<CheckpointInfo> exportModel(const std::string &checkpoint, const std::string &outputFolder) {
  // The first look only tells how much there is.
  ORIEL_ASSIGN_OR_RETURN(LoadedCheckpoint size, loadAny(checkpoint, {}));
  std::vector<float> flat(static_cast<size_t>(size.info.usedElements));
  ORIEL_ASSIGN_OR_RETURN(LoadedCheckpoint loaded, CheckpointStore::load(size.path, {{0, flat, {}, {}}}));
  ORIEL_ASSIGN_OR_RETURN(std::vector<TensorToWrite> tensors, cutParameters(loaded, flat));
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(outputFolder));
  const std::string path = outputFolder + "/model.safetensors", temporary = path + ".tmp";
  absl::Status status =
      writeSafetensors(temporary, tensors, {{"format", "oriel"}, {"step", fmt::to_string(loaded.info.step)}});
  if (status.ok())
    status = runtime::renameDurably(temporary, path);
  if (!status.ok()) {
    std::remove(temporary.c_str());
    return status;
  }
  ORIEL_RETURN_IF_ERROR(runtime::writeFileAtomically(outputFolder + "/config.json", configText(loaded.info)));
  return std::move(loaded.info);
}

} // namespace oriel::trainer
