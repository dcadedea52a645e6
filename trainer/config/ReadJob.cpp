// TOML to Job. toml++ throws; nothing of that leaves parseToml(). Everything else walks the schema by reflection.
#include "trainer/config/JobConfig.h"
#include "trainer/config/Schema.h"
#include "trainer/config/Suggest.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "absl/strings/cord.h"
#include "fmt/format.h"
#include "toml++/toml.h"

#include <algorithm>
#include <filesystem>

namespace oriel::trainer {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

/// Where a value comes from, for messages: "job.toml:7" or "--set".
using Place = std::string;

Place placeOf(const toml::node &node, const std::string &file) {
  return node.source().begin ? fmt::format("{}:{}", file, node.source().begin.line) : file;
}

absl::Status errorAt(const Place &place, const std::string &message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", place, message));
}

absl::StatusOr<toml::table> parseToml(std::string_view text, const std::string &file) {
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error &error) {
    return errorAt(fmt::format("{}:{}", file, error.source().begin.line), std::string(error.description()));
  } catch (const std::exception &error) {
    return errorAt(file, error.what());
  }
}

const char *typeOf(const toml::node &node) {
  switch (node.type()) {
  case toml::node_type::table:
    return "a table";
  case toml::node_type::array:
    return "an array";
  case toml::node_type::string:
    return "a string";
  case toml::node_type::integer:
    return "an integer";
  case toml::node_type::floating_point:
    return "a number with a fraction or exponent";
  case toml::node_type::boolean:
    return "a boolean";
  default:
    return "a date or time";
  }
}

/// Stores a scalar in a field when the types agree.
bool storeScalar(Message &message, const FieldDescriptor *field, const toml::node &node) {
  const Reflection *reflection = message.GetReflection();
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT64:
    if (!node.is_integer())
      return false;
    reflection->SetInt64(&message, field, node.as_integer()->get());
    return true;
  case FieldDescriptor::CPPTYPE_UINT64:
    if (!node.is_integer() || node.as_integer()->get() < 0)
      return false;
    reflection->SetUInt64(&message, field, static_cast<uint64_t>(node.as_integer()->get()));
    return true;
  case FieldDescriptor::CPPTYPE_DOUBLE:
    if (!node.is_number())
      return false;
    reflection->SetDouble(&message, field, *node.value<double>());
    return true;
  case FieldDescriptor::CPPTYPE_BOOL:
    if (!node.is_boolean())
      return false;
    reflection->SetBool(&message, field, node.as_boolean()->get());
    return true;
  case FieldDescriptor::CPPTYPE_STRING:
    if (!node.is_string())
      return false;
    reflection->SetString(&message, field, node.as_string()->get());
    return true;
  default:
    return false;
  }
}

/// Adds an element to a repeated field when the types agree.
bool addElement(Message &message, const FieldDescriptor *field, const toml::node &node) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE && node.is_number()) {
    message.GetReflection()->AddDouble(&message, field, *node.value<double>());
    return true;
  }
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING || !node.is_string())
    return false;
  message.GetReflection()->AddString(&message, field, node.as_string()->get());
  return true;
}

/// An array replaces what the field held; a string alone is an array of one.
bool storeArray(Message &message, const FieldDescriptor *field, const toml::node &node) {
  message.GetReflection()->ClearField(&message, field);
  if (node.is_string())
    return addElement(message, field, node);
  const toml::array *array = node.as_array();
  return array && std::all_of(array->begin(), array->end(),
                              [&](const toml::node &item) { return addElement(message, field, item); });
}

absl::Status storeValue(Message &message, const FieldDescriptor *field, const std::string &key, const toml::node &node,
                        const Place &place) {
  bool stored = field->is_repeated() ? storeArray(message, field, node) : storeScalar(message, field, node);
  if (stored)
    return absl::OkStatus();
  return errorAt(place, fmt::format("{} wants {}, not {}", key, wantedType(field), typeOf(node)));
}

absl::Status unknownKey(const Place &place, const std::string &prefix, const std::string &key,
                        const google::protobuf::Descriptor *table) {
  return errorAt(place, fmt::format("unknown key '{}'{}", joinKey(prefix, key), suggestion(key, keysOf(table))));
}

absl::Status readTable(const toml::table &table, const std::string &prefix, Message &message, const std::string &file) {
  for (const auto &[name, node] : table) {
    std::string key(name.str());
    Place place = fmt::format("{}:{}", file, name.source().begin.line);
    const FieldDescriptor *field = message.GetDescriptor()->FindFieldByName(key);
    if (!field)
      return unknownKey(place, prefix, key, message.GetDescriptor());
    std::string fullKey = joinKey(prefix, key);
    if (!isTable(field)) {
      ORIEL_RETURN_IF_ERROR(storeValue(message, field, fullKey, node, placeOf(node, file)));
      continue;
    }
    if (!node.is_table())
      return errorAt(place, fmt::format("{} wants a table, not {}", fullKey, typeOf(node)));
    Message *child = message.GetReflection()->MutableMessage(&message, field);
    ORIEL_RETURN_IF_ERROR(readTable(*node.as_table(), fullKey, *child, file));
  }
  return absl::OkStatus();
}

/// The value of an override: strings may go without quotes.
absl::Status storeText(Message &message, const FieldDescriptor *field, const std::string &key, const std::string &text,
                       const Place &place) {
  bool isToml = !text.empty() && (text.front() == '"' || text.front() == '\'' || (field->is_repeated() && text.front() == '['));
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !isToml)
    return storeValue(message, field, key, toml::value<std::string>(text), place);
  absl::StatusOr<toml::table> table = parseToml("value = " + text, place);
  if (!table.ok() || table->size() != 1)
    return errorAt(place, fmt::format("{} wants {}, not '{}'", key, wantedType(field), text));
  return storeValue(message, field, key, *table->get("value"), place);
}

absl::Status applyOverride(Job &job, const std::string &text) {
  const Place place = "--set " + text;
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return errorAt(place, "wants KEY=VALUE, e.g. training.steps=1000");
  Message *message = &job;
  std::string prefix, rest = text.substr(0, equals);
  while (true) {
    size_t dot = rest.find('.');
    std::string key = rest.substr(0, dot);
    const FieldDescriptor *field = message->GetDescriptor()->FindFieldByName(key);
    if (!field)
      return unknownKey(place, prefix, key, message->GetDescriptor());
    std::string fullKey = joinKey(prefix, key);
    if (!isTable(field)) {
      if (dot != std::string::npos)
        return errorAt(place, fmt::format("{} is not a table", fullKey));
      return storeText(*message, field, fullKey, text.substr(equals + 1), place);
    }
    if (dot == std::string::npos)
      return errorAt(place, fmt::format("{} is a table; name a key in it: {}", fullKey,
                                        fmt::join(keysOf(field->message_type()), ", ")));
    message = message->GetReflection()->MutableMessage(message, field);
    prefix = fullKey;
    rest = rest.substr(dot + 1);
  }
}

/// Where the value that checkJob() complains of was given: the last override of its key, its line, or just the file.
Place placeOfKey(const absl::Status &error, const toml::table &table, std::span<const std::string> overrides,
                 const std::string &file) {
  std::string key(error.GetPayload(kKeyPayload).value_or(absl::Cord()));
  for (auto text = overrides.rbegin(); text != overrides.rend(); ++text)
    if (text->starts_with(key + "="))
      return "--set " + *text;
  toml::node_view<const toml::node> value = table.at_path(key);
  return value ? placeOf(*value.node(), file) : file;
}

std::string absolutePath(const std::string &path, const std::string &folder) {
  return (std::filesystem::absolute(folder) / path).lexically_normal().string();
}

/// Makes every table present and every path absolute.
void complete(Message &message, const std::string &folder) {
  const Reflection *reflection = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    if (isTable(field)) {
      complete(*reflection->MutableMessage(&message, field), folder);
    } else if (const Rule &rule = ruleOf(field); rule.is_path()) {
      auto resolved = [&](const std::string &path) {
        return path.empty() || path == rule.keyword() ? path : absolutePath(path, folder);
      };
      if (!field->is_repeated())
        reflection->SetString(&message, field, resolved(reflection->GetString(message, field)));
      for (int j = 0; field->is_repeated() && j < reflection->FieldSize(message, field); ++j)
        reflection->SetRepeatedString(&message, field, j, resolved(reflection->GetRepeatedString(message, field, j)));
    }
  }
}

} // namespace

absl::StatusOr<Job> parseJob(std::string_view text, const std::string &fileName,
                             std::span<const std::string> overrides) {
  ORIEL_ASSIGN_OR_RETURN(toml::table table, parseToml(text, fileName));
  Job job;
  ORIEL_RETURN_IF_ERROR(readTable(table, "", job, fileName));
  for (const std::string &text : overrides)
    ORIEL_RETURN_IF_ERROR(applyOverride(job, text));
  complete(job, runtime::folderOf(fileName));
  if (absl::Status status = checkJob(job); !status.ok())
    return runtime::withContext(status, placeOfKey(status, table, overrides, fileName));
  return job;
}

absl::StatusOr<Job> loadJob(const std::string &path, std::span<const std::string> overrides) {
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(path));
  return parseJob(text, path, overrides);
}

} // namespace oriel::trainer
