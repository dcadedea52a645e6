#include "trainer/commands/OpenModel.h"

#include "runtime/base/Status.h"
#include "trainer/config/JobConfig.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>


namespace oriel::trainer {
namespace {

absl::StatusOr<std::string> factOf(const CheckpointInfo &info, const std::string &folder, const char *key) {
  auto it = info.extra.find(key);
  if (it == info.extra.end())
    return absl::InvalidArgumentError(fmt::format("{}: the manifest has no '{}'", folder, key));
  return it->second;
}

} // namespace

absl::StatusOr<std::string> findCheckpoint(const std::string &path) {
  std::string folder = path;
  if (absl::EndsWith(path, ".toml")) {
    ORIEL_ASSIGN_OR_RETURN(Job job, loadJob(path));
    folder = checkpointDir(job);
  }
  std::vector<std::string> skipped;
  absl::StatusOr<std::string> found = findGoodCheckpoint(folder, skipped);
  if (found.ok())
    for (const std::string &reason : skipped)
      spdlog::warn("checkpoint passed over: {}", reason);
  return found;
}

absl::StatusOr<OpenedModel> openModel(const std::string &path, int64_t contextTokens, int64_t threads,
                                      runtime::Communicator &communicator) {
  OpenedModel model;
  ORIEL_ASSIGN_OR_RETURN(model.folder, findCheckpoint(path));
  ORIEL_ASSIGN_OR_RETURN(model.info, CheckpointStore::verify(model.folder));
  ORIEL_ASSIGN_OR_RETURN(std::string tokenizer, factOf(model.info, model.folder, "tokenizer"));
  ORIEL_ASSIGN_OR_RETURN(model.tokenizer, makeTokenizer(tokenizer));
  PackageRequest request;
  ORIEL_ASSIGN_OR_RETURN(request.modelText, factOf(model.info, model.folder, "model_text"));
  ORIEL_ASSIGN_OR_RETURN(request.dtype, factOf(model.info, model.folder, "dtype"));
  ORIEL_ASSIGN_OR_RETURN(std::string sequence, factOf(model.info, model.folder, "sequence"));
  request.tokens = contextTokens;
  if (contextTokens == 0 && (!absl::SimpleAtoi(sequence, &request.tokens) || request.tokens < 1))
    return absl::InvalidArgumentError(fmt::format("{}: sequence '{}' is not a number", model.folder, sequence));
  ORIEL_ASSIGN_OR_RETURN(CachedPackage cached, sharePackage(request, communicator, kCompileDeadlineSeconds));
  ORIEL_ASSIGN_OR_RETURN(model.device, makeDevice("cpu", threads, communicator));
  ORIEL_ASSIGN_OR_RETURN(model.state, ModelState::create(cached.package, *model.device, communicator));
  std::vector<ParameterPlace> places = model.state->places();
  ShardTargets targets = model.state->targets();
  for (ShardTarget &target : targets)
    target.adamM = target.adamV = {};
  ORIEL_RETURN_IF_ERROR(CheckpointStore::load(model.folder, targets, &places).status());
  ORIEL_RETURN_IF_ERROR(model.state->gatherParameters(runtime::Deadline::after(60)));
  return model;
}

} // namespace oriel::trainer
