// A checkpoint turned back into a model that runs: the model text inside it gives the package, the shards the weights.
#pragma once

#include "runtime/communicator/Communicator.h"
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/loop/RunSetup.h"

#include <memory>
#include <string>

namespace oriel::trainer {

/// The checkpoint folder meant by `path`: itself, the newest good one below it, or the newest of a job file's run.
absl::StatusOr<std::string> findCheckpoint(const std::string &path);

struct OpenedModel {
  std::string folder;
  CheckpointInfo info;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<runtime::Device> device;
  std::unique_ptr<ModelState> state;
};

/// `contextTokens` 0: the row length that the model was trained with. One process.
absl::StatusOr<OpenedModel> openModel(const std::string &path, int64_t contextTokens, int64_t threads,
                                      runtime::Communicator &communicator);

} // namespace oriel::trainer
