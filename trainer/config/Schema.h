// Small views of the Job schema that reading, checking and printing share. Internal to trainer/config.
#pragma once

#include "trainer/config/job.pb.h"

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

#include <string>
#include <vector>

namespace oriel::trainer {

using google::protobuf::FieldDescriptor;

/// Payload of an error of checkJob(): the full key that it is about.
inline constexpr char kKeyPayload[] = "oriel/key";

inline const Rule &ruleOf(const FieldDescriptor *field) { return field->options().GetExtension(rule); }

inline bool isTable(const FieldDescriptor *field) { return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE; }

inline std::vector<std::string> keysOf(const google::protobuf::Descriptor *table) {
  std::vector<std::string> keys;
  for (int i = 0; i < table->field_count(); ++i)
    keys.push_back(table->field(i)->name());
  return keys;
}

inline std::string joinKey(const std::string &table, const std::string &key) {
  return table.empty() ? key : table + "." + key;
}

/// "an integer", for messages.
inline const char *wantedType(const FieldDescriptor *field) {
  if (field->is_repeated())
    return field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ? "an array of numbers" : "a string or an array of strings";
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_MESSAGE:
    return "a table";
  case FieldDescriptor::CPPTYPE_INT64:
    return "an integer";
  case FieldDescriptor::CPPTYPE_UINT64:
    return "an integer that is not negative";
  case FieldDescriptor::CPPTYPE_DOUBLE:
    return "a number";
  case FieldDescriptor::CPPTYPE_BOOL:
    return "true or false";
  default:
    return "a string";
  }
}

} // namespace oriel::trainer
