#include "trainer/tokenizer/huggingface/JsonField.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

namespace oriel::trainer::huggingface {
namespace {

const nlohmann::json nothing;

} // namespace

absl::StatusOr<JsonField> JsonField::read(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(path));
  try {
    return JsonField(std::make_shared<const nlohmann::json>(nlohmann::json::parse(text)), path);
  } catch (const nlohmann::json::parse_error &error) {
    return absl::InvalidArgumentError(fmt::format("{}: not JSON at byte {}: {}", path, error.byte, error.what()));
  }
}

JsonField JsonField::child(const nlohmann::json &value, std::string place) const {
  JsonField field = *this;
  field.value_ = &value;
  field.place_ = std::move(place);
  return field;
}

JsonField JsonField::operator[](const std::string &key) const {
  auto member = value_->is_object() ? value_->find(key) : value_->end();
  const bool found = value_->is_object() && member != value_->end();
  return child(found ? *member : nothing, place_.empty() ? key : place_ + "." + key);
}

absl::StatusOr<std::string> JsonField::text() const {
  if (!value_->is_string())
    return error("is not a string");
  return value_->get<std::string>();
}

absl::StatusOr<int32_t> JsonField::id() const {
  constexpr int64_t most = 1 << 28;
  if (!value_->is_number_integer() || value_->get<int64_t>() < 0 || value_->get<int64_t>() >= most)
    return error(fmt::format("is not an id of 0 … {}", most - 1));
  return value_->get<int32_t>();
}

absl::StatusOr<bool> JsonField::flag(bool whenAbsent) const {
  if (absent())
    return whenAbsent;
  if (!value_->is_boolean())
    return error("is not true or false");
  return value_->get<bool>();
}

absl::StatusOr<std::vector<JsonField>> JsonField::elements() const {
  std::vector<JsonField> fields;
  if (!absent() && !value_->is_array())
    return error("is not an array");
  for (size_t i = 0; i < value_->size() && !absent(); ++i)
    fields.push_back(child((*value_)[i], fmt::format("{}[{}]", place_, i)));
  return fields;
}

absl::Status JsonField::error(const std::string &why) const {
  return absl::InvalidArgumentError(fmt::format("{}: {} {}", path_, place_, why));
}

} // namespace oriel::trainer::huggingface
