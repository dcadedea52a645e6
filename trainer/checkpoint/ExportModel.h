// `oriel export`: a checkpoint as one safetensors file with parameter names and shapes, beside a config.json.
#pragma once

#include "trainer/checkpoint/CheckpointStore.h"

#include "absl/status/statusor.h"

#include <string>

namespace oriel::trainer {

/// Writes <outputFolder>/model.safetensors (F32, the names of the model file) and <outputFolder>/config.json (model
/// name, step, parameters, tokenizer, model text). `checkpoint` is a step folder, or a folder of them (newest good).
/// Returns what the checkpoint says of itself.
absl::StatusOr<CheckpointInfo> exportModel(const std::string &checkpoint, const std::string &outputFolder);

} // namespace oriel::trainer
