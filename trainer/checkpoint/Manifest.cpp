// JSON of manifests and notes. Every access is checked; no exception of the library leaves.
#include "trainer/checkpoint/Manifest.h"

#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"
#include "nlohmann/json.hpp"

#include <algorithm>
#include <utility>

namespace oriel::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int formatVersion = 2;
constexpr std::string_view checksumKey = ",\"checksum\":\"";

absl::Status malformed(const std::string &path, const std::string &why) {
  return absl::DataLossError(fmt::format("{}: {}", path, why));
}

/// Typed access to the keys of an object; the first missing or wrong one is remembered.
class Fields {
public:
  Fields(const Json &object, std::string place) : object_(object), place_(std::move(place)) {}

  void read(const char *key, int64_t &value) {
    if (const Json *field = find(key, &Json::is_number_integer))
      value = field->get<int64_t>();
    if (value < 0)
      fail(key);
  }
  void read(const char *key, uint64_t &value) {
    if (const Json *field = find(key, &Json::is_number_unsigned))
      value = field->get<uint64_t>();
  }
  void read(const char *key, std::string &value) {
    if (const Json *field = find(key, &Json::is_string))
      value = field->get<std::string>();
  }
  /// Never null: an empty array stands for a missing one.
  const Json &array(const char *key) {
    static const Json empty = Json::array();
    const Json *field = find(key, &Json::is_array);
    return field ? *field : empty;
  }
  void read(const char *key, std::map<std::string, std::string> &value) {
    const Json *field = find(key, &Json::is_object);
    if (!field)
      return;
    for (const auto &[name, item] : field->items()) {
      if (!item.is_string())
        return fail(key);
      value[name] = item.get<std::string>();
    }
  }
  void fail(const std::string &key) {
    if (bad_.empty())
      bad_ = key;
  }
  absl::Status status() const {
    return bad_.empty() ? absl::OkStatus() : malformed(place_, fmt::format("'{}' is missing or malformed", bad_));
  }

private:
  const Json *find(const char *key, bool (Json::*isRight)() const noexcept) {
    auto field = object_.is_object() ? object_.find(key) : object_.end();
    if (!object_.is_object() || field == object_.end() || !((*field).*isRight)()) {
      fail(key);
      return nullptr;
    }
    return &*field;
  }

  const Json &object_;
  std::string place_, bad_;
};

Json noteJson(const ShardNote &note) {
  Json ranges = Json::array();
  for (const ElementRange &range : note.ranges)
    ranges.push_back({range.first, range.count});
  return {{"file", note.file}, {"bytes", note.bytes}, {"xxh3_128", note.checksum}, {"ranges", ranges}};
}

absl::StatusOr<ShardNote> noteFromJson(const Json &json, const std::string &place) {
  ShardNote note;
  Fields fields(json, place);
  fields.read("file", note.file);
  fields.read("bytes", note.bytes);
  fields.read("xxh3_128", note.checksum);
  for (const Json &range : fields.array("ranges")) {
    auto isCount = [](const Json &number) { return number.is_number_integer() && number.get<int64_t>() >= 0; };
    if (!range.is_array() || range.size() != 2 || !isCount(range[0]) || !isCount(range[1])) {
      fields.fail("ranges");
      break;
    }
    note.ranges.push_back({range[0].get<int64_t>(), range[1].get<int64_t>()});
  }
  if (note.file.empty() || note.file.find('/') != std::string::npos)
    fields.fail("file");
  ORIEL_RETURN_IF_ERROR(fields.status());
  return note;
}

absl::StatusOr<ParameterPlace> parameterFromJson(const Json &json, const std::string &place) {
  ParameterPlace parameter;
  Fields fields(json, place);
  fields.read("name", parameter.name);
  fields.read("offset", parameter.offset);
  int64_t elements = 1;
  for (const Json &size : fields.array("shape")) {
    if (!size.is_number_integer() || size.get<int64_t>() < 0 ||
        __builtin_mul_overflow(elements, size.get<int64_t>(), &elements)) {
      fields.fail("shape");
      break;
    }
    parameter.shape.push_back(size.get<int64_t>());
  }
  ORIEL_RETURN_IF_ERROR(fields.status());
  return parameter;
}

absl::Status checkShards(const Manifest &manifest, const std::string &path) {
  std::vector<std::pair<ElementRange, std::string_view>> pieces;
  for (const ShardNote &shard : manifest.shards)
    for (const ElementRange &range : shard.ranges)
      pieces.push_back({range, shard.file});
  std::sort(pieces.begin(), pieces.end(), [](auto &a, auto &b) { return a.first.first < b.first.first; });
  int64_t next = 0;
  for (const auto &[range, file] : pieces)
    if (range.first != next || __builtin_add_overflow(next, range.count, &next))
      return malformed(path, fmt::format("a range of shard {} begins at element {}, not at {}", file, range.first, next));
  if (next < manifest.info.usedElements)
    return malformed(path, fmt::format("the shards hold {} of {} elements", next, manifest.info.usedElements));
  return absl::OkStatus();
}

absl::StatusOr<Json> parseObject(std::string_view text, const std::string &path) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object())
    return malformed(path, "not a JSON object");
  return json;
}

} // namespace

std::string writeManifest(const Manifest &manifest) {
  const CheckpointInfo &info = manifest.info;
  Json parameters = Json::array(), shards = Json::array();
  for (const ParameterPlace &parameter : info.parameters)
    parameters.push_back({{"name", parameter.name}, {"shape", parameter.shape}, {"offset", parameter.offset}});
  for (const ShardNote &shard : manifest.shards)
    shards.push_back(noteJson(shard));
  Json json{{"format", formatVersion},
            {"step", info.step},
            {"position", info.position},
            {"seed", info.seed},
            {"run_id", info.runId},
            {"plan_fingerprint", info.planFingerprint},
            {"config_hash", info.configHash},
            {"used_elements", info.usedElements},
            {"parameters", parameters},
            {"extra", Json(info.extra)},
            {"shards", shards}};
  // Texts in `extra` may hold any bytes; what is not UTF-8 is replaced rather than thrown about.
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.pop_back(); // the closing brace, put back behind the checksum
  std::string checksum = runtime::hashHex(text);
  return fmt::format("{}{}{}\"}}\n", text, checksumKey, checksum);
}

absl::StatusOr<Manifest> parseManifest(std::string_view text, const std::string &path) {
  constexpr size_t digits = 32;
  const size_t key = text.rfind(checksumKey);
  if (key == std::string_view::npos || text.size() != key + checksumKey.size() + digits + 3 || !text.ends_with("\"}\n"))
    return malformed(path, "the checksum at its end is missing: truncated, or not a manifest");
  const std::string body(text.substr(0, key)), checksum(text.substr(key + checksumKey.size(), digits));
  if (runtime::hashHex(body) != checksum)
    return malformed(path, fmt::format("checksum {} does not fit the contents ({})", checksum, runtime::hashHex(body)));
  ORIEL_ASSIGN_OR_RETURN(Json json, parseObject(body + "}", path));

  Manifest manifest;
  CheckpointInfo &info = manifest.info;
  int64_t format = 0;
  Fields fields(json, path);
  fields.read("format", format);
  fields.read("step", info.step);
  fields.read("position", info.position);
  fields.read("seed", info.seed);
  fields.read("run_id", info.runId);
  fields.read("plan_fingerprint", info.planFingerprint);
  fields.read("config_hash", info.configHash);
  fields.read("used_elements", info.usedElements);
  fields.read("extra", info.extra);
  const Json &parameters = fields.array("parameters"), &shards = fields.array("shards");
  ORIEL_RETURN_IF_ERROR(fields.status());
  if (format != formatVersion)
    return malformed(path, fmt::format("format {} is not {}: written by another version", format, formatVersion));
  for (const Json &item : parameters) {
    ORIEL_ASSIGN_OR_RETURN(ParameterPlace parameter, parameterFromJson(item, path));
    info.parameters.push_back(std::move(parameter));
  }
  for (const Json &item : shards) {
    ORIEL_ASSIGN_OR_RETURN(ShardNote shard, noteFromJson(item, path));
    manifest.shards.push_back(std::move(shard));
  }
  ORIEL_RETURN_IF_ERROR(checkShards(manifest, path));
  return manifest;
}

std::string writeNote(const ShardNote &note, int64_t step, const std::string &transaction) {
  Json json = noteJson(note);
  json["step"] = step;
  json["transaction"] = transaction;
  return json.dump() + "\n";
}

absl::StatusOr<ShardNote> parseNote(std::string_view text, const std::string &path, int64_t step,
                                    const std::string &transaction) {
  ORIEL_ASSIGN_OR_RETURN(Json json, parseObject(text, path));
  ORIEL_ASSIGN_OR_RETURN(ShardNote note, noteFromJson(json, path));
  int64_t notedStep = 0;
  std::string notedTransaction;
  Fields fields(json, path);
  fields.read("step", notedStep);
  fields.read("transaction", notedTransaction);
  ORIEL_RETURN_IF_ERROR(fields.status());
  if (notedStep != step || notedTransaction != transaction)
    return malformed(path, fmt::format("belongs to step {} of try {}, not to step {} of try {}", notedStep,
                                       notedTransaction, step, transaction));
  return note;
}

std::string shardFileName(int rank, int world) { return fmt::format("shard-{:05}-of-{:05}.safetensors", rank, world); }

std::string tensorName(std::string_view vector, int64_t first) { return fmt::format("{}@{}", vector, first); }

std::string noteFileName(int rank, int world) { return fmt::format("shard-{:05}-of-{:05}.note", rank, world); }

} // namespace oriel::trainer
