// A value of a JSON file together with its place there, so that every error names file and field.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

#include <memory>
#include <string>
#include <vector>

namespace oriel::trainer::huggingface {

/// Cheap to copy; keeps the document alive.
class JsonField {
public:
  /// The whole document of a file.
  static absl::StatusOr<JsonField> read(const std::string &path);

  /// The member of an object, or the absent field that stands for null.
  JsonField operator[](const std::string &key) const;
  bool absent() const { return value_->is_null(); }
  bool isText() const { return value_->is_string(); }
  const nlohmann::json &json() const { return *value_; }

  absl::StatusOr<std::string> text() const;
  absl::StatusOr<int32_t> id() const;
  absl::StatusOr<bool> flag(bool whenAbsent) const;
  /// The elements of an array; none when absent.
  absl::StatusOr<std::vector<JsonField>> elements() const;

  /// "FILE: FIELD WHY"
  absl::Status error(const std::string &why) const;

private:
  JsonField(std::shared_ptr<const nlohmann::json> document, std::string path)
      : document_(std::move(document)), value_(document_.get()), path_(std::move(path)) {}
  JsonField child(const nlohmann::json &value, std::string place) const;

  std::shared_ptr<const nlohmann::json> document_;
  const nlohmann::json *value_;
  std::string path_, place_;
};

} // namespace oriel::trainer::huggingface
