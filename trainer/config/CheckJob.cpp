// Ranges of fields (from the schema), relations between fields (here), and what is derived from a checked job.
#include "trainer/config/JobConfig.h"
#include "trainer/config/Schema.h"
#include "trainer/config/Suggest.h"

#include "runtime/base/Hash.h"
#include "runtime/base/MemoryBudget.h"
#include "runtime/base/Status.h"

#include "absl/strings/cord.h"
#include "fmt/format.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace oriel::trainer {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

/// An error of `key`; parseJob() puts the place of its value in front.
absl::Status bad(const std::string &key, const std::string &message) {
  absl::Status status = absl::InvalidArgumentError(key + message);
  status.SetPayload(kKeyPayload, absl::Cord(key));
  return status;
}

absl::Status checkNumber(const std::string &key, double value, const std::string &shown, const Rule &rule) {
  if (!std::isfinite(value))
    return bad(key, fmt::format(" = {} is not a finite number", shown));
  if (rule.has_min() && value < rule.min())
    return bad(key, fmt::format(" = {} is below {}", shown, rule.min()));
  if (rule.has_max() && value > rule.max())
    return bad(key, fmt::format(" = {} is above {}", shown, rule.max()));
  return absl::OkStatus();
}

absl::Status checkString(const std::string &key, const std::string &value, const Rule &rule) {
  if (rule.required() && value.empty())
    return bad(key, fmt::format(" is missing: {}", rule.help()));
  if (rule.choices_size() == 0)
    return absl::OkStatus();
  std::vector<std::string> choices(rule.choices().begin(), rule.choices().end());
  if (std::find(choices.begin(), choices.end(), value) != choices.end())
    return absl::OkStatus();
  return bad(key, fmt::format(" = '{}' is not one of {}{}", value, fmt::join(choices, ", "),
                              nearestName(value, choices).empty() ? "" : suggestion(value, choices)));
}

absl::Status checkArray(const Message &message, const FieldDescriptor *field, const std::string &key) {
  const Reflection *reflection = message.GetReflection();
  const Rule &rule = ruleOf(field);
  const int size = reflection->FieldSize(message, field);
  if (rule.required() && size == 0)
    return checkString(key, "", rule);
  for (int i = 0; i < size; ++i)
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      double value = reflection->GetRepeatedDouble(message, field, i);
      ORIEL_RETURN_IF_ERROR(checkNumber(key, value, fmt::to_string(value), rule));
    } else {
      ORIEL_RETURN_IF_ERROR(checkString(key, reflection->GetRepeatedString(message, field, i), rule));
    }
  return absl::OkStatus();
}

absl::Status checkTable(const Message &message, const std::string &prefix) {
  const Reflection *reflection = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    const Rule &rule = ruleOf(field);
    std::string key = joinKey(prefix, field->name());
    if (field->is_repeated()) {
      ORIEL_RETURN_IF_ERROR(checkArray(message, field, key));
      continue;
    }
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      ORIEL_RETURN_IF_ERROR(checkTable(reflection->GetMessage(message, field), key));
      break;
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = reflection->GetInt64(message, field);
      ORIEL_RETURN_IF_ERROR(checkNumber(key, static_cast<double>(value), fmt::to_string(value), rule));
      break;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = reflection->GetDouble(message, field);
      ORIEL_RETURN_IF_ERROR(checkNumber(key, value, fmt::to_string(value), rule));
      break;
    }
    case FieldDescriptor::CPPTYPE_STRING:
      ORIEL_RETURN_IF_ERROR(checkString(key, reflection->GetString(message, field), rule));
      break;
    default:
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status checkMixture(const Job &job) {
  const int parts = job.data().train_size(), weights = job.data().weights_size();
  if (weights == 0 || weights == parts)
    return absl::OkStatus();
  return bad("data.weights", fmt::format(" has {} numbers for the {} of data.train", weights, parts));
}

/// Micro-batches are the leaves of a binary tree of gradient sums, and each rank owns a whole subtree of it.
absl::Status checkBatch(const Job &job) {
  const int64_t batch = job.training().batch(), micro = job.training().micro_batch(), ranks = job.distributed().fsdp();
  if (batch % micro != 0 || !std::has_single_bit(static_cast<uint64_t>(batch / micro)))
    return bad("training.batch", fmt::format(" = {} is not training.micro_batch = {} times a power of two", batch, micro));
  if (ranks == 0)
    return absl::OkStatus();
  if (!std::has_single_bit(static_cast<uint64_t>(ranks)))
    return bad("distributed.fsdp", fmt::format(" = {} is not a power of two", ranks));
  if (ranks > batch / micro)
    return bad("distributed.fsdp", fmt::format(" = {} ranks cannot share {} micro-batches of a step "
                                               "(training.batch / training.micro_batch)",
                                               ranks, batch / micro));
  return absl::OkStatus();
}

} // namespace

absl::Status checkJob(const Job &job) {
  ORIEL_RETURN_IF_ERROR(checkTable(job, ""));
  if (auto budget = runtime::parseMemoryBudget(job.memory().budget()); !budget.ok())
    return bad("memory.budget", ": " + std::string(budget.status().message()));
  if (auto bucket = runtime::parseBytes(job.distributed().bucket()); !bucket.ok())
    return bad("distributed.bucket", ": " + std::string(bucket.status().message()));
  ORIEL_RETURN_IF_ERROR(checkMixture(job));
  return checkBatch(job);
}

std::string jobNumericsHash(const Job &job) {
  runtime::Hasher hasher;
  hasher.addField(printNumerics(job));
  return hasher.hex();
}

std::string checkpointDir(const Job &job) {
  return job.checkpoint().dir().empty() ? job.run_dir() + "/checkpoints" : job.checkpoint().dir();
}

std::string metricsDir(const Job &job) {
  return job.metrics().dir().empty() ? job.run_dir() + "/metrics" : job.metrics().dir();
}

} // namespace oriel::trainer
