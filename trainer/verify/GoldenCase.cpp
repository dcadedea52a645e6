#include "trainer/verify/GoldenCase.h"

#include "absl/strings/str_cat.h"

namespace oriel::trainer {

LmValue GoldenCaseBuilder::argument(GoldenTensor tensor) {
  LmValue value = function.addArgument(tensor.shape, tensor.isInteger);
  case_.arguments.push_back(std::move(tensor));
  return value;
}

LmValue GoldenCaseBuilder::argument(GoldenTensor tensor, GoldenTensor gradient) {
  wrt_.push_back(int(case_.arguments.size()));
  gradients_.push_back({std::move(gradient), gradientTolerance_});
  return argument(std::move(tensor));
}

void GoldenCaseBuilder::result(const LmValue &value, GoldenTensor expected) {
  results_.push_back(value);
  case_.expected.push_back({std::move(expected), tolerance_});
  hasCotangent_.push_back(false);
}

void GoldenCaseBuilder::result(const LmValue &value, GoldenTensor expected, GoldenTensor cotangent) {
  result(value, std::move(expected));
  hasCotangent_.back() = true;
  cotangents_.push_back(std::move(cotangent));
}

GoldenCase GoldenCaseBuilder::finish() && {
  case_.text = function.finish(results_, wrt_, hasCotangent_);
  std::move(cotangents_.begin(), cotangents_.end(), std::back_inserter(case_.arguments));
  std::move(gradients_.begin(), gradients_.end(), std::back_inserter(case_.expected));
  return std::move(case_);
}

GoldenTensor documentStarts(GoldenReader &reader) {
  GoldenTensor starts = reader.tensor("segment_ids", 2);
  std::vector<float> ids = starts.values;
  int64_t tokens = starts.shape[1];
  for (size_t i = 0; i < ids.size(); ++i) {
    int64_t t = int64_t(i) % tokens;
    starts.values[i] = t > 0 && ids[i] == ids[i - 1] ? starts.values[i - 1] : float(t);
  }
  return starts;
}

absl::StatusOr<GoldenCase> readGoldenCase(const SafetensorsFile &file) {
  GoldenReader reader(file);
  std::string family = reader.text("family"), name = reader.text("case");
  if (!reader.status().ok())
    return reader.status();

  GoldenCase result;
  if (family == "rla_op" || family == "rla_prefill")
    result = goldenResidualLinearAttention(reader, family == "rla_prefill");
  else if (family == "linear_attention")
    result = goldenLinearAttention(reader);
  else if (family == "group_rmsnorm")
    result = goldenRmsNorm(reader);
  else if (family == "attention")
    result = goldenAttention(reader);
  else if (family == "rattention_layer")
    result = goldenRAttentionLayer(reader);
  else
    reader.fail(
        absl::StrCat("is of the family '", family,
                     "'; known are rla_op, rla_prefill, linear_attention, group_rmsnorm, attention, rattention_layer"));
  if (!reader.status().ok())
    return reader.status();
  result.family = family;
  result.name = name;
  return result;
}

} // namespace oriel::trainer
