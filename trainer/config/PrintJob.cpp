// Job to TOML, and the schema as a commented TOML file.
#include "trainer/config/JobConfig.h"
#include "trainer/config/Schema.h"

#include "fmt/format.h"

#include <map>
#include <sstream>

namespace oriel::trainer {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
    case '"':
    case '\\':
      out += '\\';
      out += c;
      break;
    case '\n':
      out += "\\n";
      break;
    case '\t':
      out += "\\t";
      break;
    case '\r':
      out += "\\r";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      else
        out += c;
    }
  }
  return out + "\"";
}

/// The shortest text that reads back to the same double and that TOML takes for a float.
std::string floatText(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string valueText(const Message &message, const FieldDescriptor *field) {
  const Reflection *reflection = message.GetReflection();
  if (field->is_repeated()) {
    std::vector<std::string> items;
    for (int i = 0; i < reflection->FieldSize(message, field); ++i)
      items.push_back(field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE
                          ? floatText(reflection->GetRepeatedDouble(message, field, i))
                          : quoted(reflection->GetRepeatedString(message, field, i)));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT64:
    return fmt::to_string(reflection->GetInt64(message, field));
  case FieldDescriptor::CPPTYPE_UINT64:
    return fmt::to_string(reflection->GetUInt64(message, field));
  case FieldDescriptor::CPPTYPE_DOUBLE:
    return floatText(reflection->GetDouble(message, field));
  case FieldDescriptor::CPPTYPE_BOOL:
    return reflection->GetBool(message, field) ? "true" : "false";
  default:
    return quoted(reflection->GetString(message, field));
  }
}

std::string rangeText(const FieldDescriptor *field) {
  const Rule &rule = ruleOf(field);
  if (rule.choices_size() > 0)
    return fmt::format("one of {}", fmt::join(rule.choices(), ", "));
  if (rule.has_min() && rule.has_max())
    return fmt::format("{} … {}", rule.min(), rule.max());
  if (rule.has_min())
    return fmt::format(">= {}", rule.min());
  return rule.required() && !field->has_default_value() ? "required" : "";
}

/// One table: its plain keys, then its child tables, each under its header.
void printTable(const Message &message, const std::string &prefix, bool describe, std::string &out) {
  if (!prefix.empty())
    out += fmt::format("\n[{}]\n", prefix);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    if (isTable(field))
      continue;
    std::string line = fmt::format("{} = {}", field->name(), valueText(message, field)), comment = ruleOf(field).help();
    if (describe)
      if (std::string range = rangeText(field); !range.empty())
        comment += fmt::format("{}({})", comment.empty() ? "" : " ", range);
    out += comment.empty() ? line + "\n" : fmt::format("{:<32} # {}\n", line, comment);
  }
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    if (isTable(field))
      printTable(message.GetReflection()->GetMessage(message, field), joinKey(prefix, field->name()), describe, out);
  }
}

void printNumericsOf(const Message &message, const std::string &prefix, std::string &out) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    std::string key = joinKey(prefix, field->name());
    if (isTable(field))
      printNumericsOf(message.GetReflection()->GetMessage(message, field), key, out);
    else if (ruleOf(field).numerics())
      out += fmt::format("{} = {}\n", key, valueText(message, field));
  }
}

/// Values by their keys.
std::map<std::string, std::string> linesOf(std::string_view numerics) {
  std::map<std::string, std::string> values;
  std::istringstream lines{std::string(numerics)};
  for (std::string line; std::getline(lines, line);)
    if (size_t equals = line.find(" = "); equals != std::string::npos)
      values[line.substr(0, equals)] = line.substr(equals + 3);
  return values;
}

} // namespace

std::string printNumerics(const Job &job) {
  std::string out;
  printNumericsOf(job, "", out);
  return out;
}

std::string numericsDifference(std::string_view before, const Job &job) {
  if (before.empty())
    return "which, it did not write down";
  std::vector<std::string> changes;
  std::map<std::string, std::string> old = linesOf(before);
  for (const auto &[key, value] : linesOf(printNumerics(job)))
    if (auto was = old.find(key); was == old.end() || was->second != value)
      changes.push_back(fmt::format("{} = {} (was {})", key, value, was == old.end() ? "not there" : was->second));
  return fmt::format("{}", fmt::join(changes, ", "));
}

std::string printJob(const Job &job) {
  std::string out;
  printTable(job, "", false, out);
  return out;
}

std::string describeJobSchema() {
  std::string out = "# Every key of a job file with its default. Paths are relative to the folder of the job file.\n";
  printTable(Job(), "", true, out);
  return out;
}

} // namespace oriel::trainer
