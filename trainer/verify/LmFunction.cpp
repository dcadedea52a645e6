#include "trainer/verify/LmFunction.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace oriel::trainer {
namespace {

std::string typeOf(const Shape &shape, bool isInteger) {
  return absl::StrCat("tensor<", absl::StrJoin(shape, "x"), shape.empty() ? "" : "x", isInteger ? "i32" : "f32", ">");
}

std::string joinNames(const std::vector<LmValue> &values) {
  return absl::StrJoin(values, ", ", [](std::string *out, const LmValue &value) { absl::StrAppend(out, value.name); });
}

std::string joinTypes(const std::vector<LmValue> &values) {
  return absl::StrJoin(values, ", ",
                       [](std::string *out, const LmValue &value) { absl::StrAppend(out, value.type()); });
}

} // namespace

std::string LmValue::type() const { return typeOf(shape, isInteger); }

LmValue LmFunction::addArgument(Shape shape, bool isInteger) {
  arguments_.push_back({absl::StrCat("%a", arguments_.size()), std::move(shape), isInteger});
  return arguments_.back();
}

LmFunction::OpText::OpText(LmFunction &function, const std::string &mnemonic, std::vector<LmValue> operands)
    : function_(function), head_(absl::StrCat(mnemonic, " ", joinNames(operands))), operands_(std::move(operands)) {}

LmFunction::OpText &LmFunction::OpText::group(const std::string &key, const std::vector<LmValue> &operands) {
  if (operands.empty())
    return *this;
  absl::StrAppend(&head_, " ", key, "(", joinNames(operands), ")");
  operands_.insert(operands_.end(), operands.begin(), operands.end());
  return *this;
}

LmFunction::OpText &LmFunction::OpText::attribute(const std::string &name, const std::string &value) {
  absl::StrAppend(&attributes_, attributes_.empty() ? "" : ", ", name);
  if (!value.empty())
    absl::StrAppend(&attributes_, " = ", value);
  return *this;
}

LmFunction::OpText &LmFunction::OpText::integer(const std::string &name, int64_t value) {
  return attribute(name, absl::StrCat(value, " : i64"));
}

LmFunction::OpText &LmFunction::OpText::real(const std::string &name, double value) {
  // 17 digits read back as the same double; MLIR's float literals need the decimal point.
  return attribute(name, absl::StrFormat("%.16e : f64", value));
}

std::vector<LmValue> LmFunction::OpText::results(const std::vector<Shape> &shapes) {
  std::vector<LmValue> values;
  for (const Shape &shape : shapes)
    values.push_back({absl::StrCat("%", function_.nextValue_++), shape, /*isInteger=*/false});
  absl::StrAppend(&function_.body_, "  ", joinNames(values), " = ", head_,
                  attributes_.empty() ? "" : absl::StrCat(" {", attributes_, "}"), " : (", joinTypes(operands_),
                  ") -> (", joinTypes(values), ")\n");
  return values;
}

std::string LmFunction::finish(const std::vector<LmValue> &results, const std::vector<int> &wrt,
                               const std::vector<bool> &cotangents) const {
  std::string arguments = absl::StrJoin(arguments_, ", ", [](std::string *out, const LmValue &value) {
    absl::StrAppend(out, value.name, ": ", value.type());
  });
  std::vector<std::string> flags;
  for (bool flag : cotangents)
    flags.push_back(flag ? "true" : "false");
  return absl::StrCat("func.func @f(", arguments, ") -> (", joinTypes(results), ")\n    attributes {lm.vjp = {wrt = [",
                      absl::StrJoin(wrt, ", "), "], cotangents = [", absl::StrJoin(flags, ", "), "]}} {\n", body_,
                      "  return ", joinNames(results), " : ", joinTypes(results), "\n}\n");
}

} // namespace oriel::trainer
