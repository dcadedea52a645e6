#include "trainer/verify/GoldenReader.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace oriel::trainer {

void GoldenReader::fail(const std::string &message) {
  if (status_.ok())
    status_ = absl::InvalidArgumentError(absl::StrCat(file_.path(), ": ", message));
}

GoldenTensor GoldenReader::tensor(const std::string &name, size_t rank) {
  GoldenTensor result;
  result.name = name;
  result.shape.assign(rank, 0);
  const Tensor *found = file_.find(name);
  if (!found) {
    fail(absl::StrCat("has no tensor '", name, "'"));
    return result;
  }
  if (found->shape.size() != rank) {
    fail(absl::StrCat("tensor '", name, "' has ", found->shape.size(), " dimensions, expected ", rank));
    return result;
  }
  result.shape = found->shape;
  result.isInteger = found->type == TensorType::I32 || found->type == TensorType::I64;
  result.values = found->toFloats();
  return result;
}

std::string GoldenReader::text(const std::string &key) {
  auto entry = file_.metadata().find(key);
  if (entry != file_.metadata().end())
    return entry->second;
  fail(absl::StrCat("has no metadata '", key, "'"));
  return "";
}

int64_t GoldenReader::integer(const std::string &key) {
  int64_t value = 0;
  std::string written = text(key);
  if (!absl::SimpleAtoi(written, &value))
    fail(absl::StrCat("metadata '", key, "' is '", written, "', expected an integer"));
  return value;
}

double GoldenReader::real(const std::string &key) {
  double value = 0;
  std::string written = text(key);
  if (!absl::SimpleAtod(written, &value))
    fail(absl::StrCat("metadata '", key, "' is '", written, "', expected a number"));
  return value;
}

bool GoldenReader::flag(const std::string &key) {
  auto entry = file_.metadata().find(key);
  if (entry == file_.metadata().end() || entry->second == "false")
    return false;
  if (entry->second != "true")
    fail(absl::StrCat("metadata '", key, "' is '", entry->second, "', expected true or false"));
  return true;
}

GoldenTensor permuted(const GoldenTensor &tensor, const std::vector<int> &order) {
  size_t rank = order.size();
  GoldenTensor result = tensor;
  if (tensor.values.empty())
    return result;
  std::vector<int64_t> strides(rank, 1), step(rank), index(rank, 0);
  for (size_t i = rank - 1; i-- > 0;)
    strides[i] = strides[i + 1] * tensor.shape[i + 1];
  for (size_t i = 0; i < rank; ++i) {
    result.shape[i] = tensor.shape[order[i]];
    step[i] = strides[order[i]];
  }
  int64_t source = 0;
  for (float &value : result.values) {
    value = tensor.values[source];
    for (size_t i = rank; i-- > 0;) { // the odometer of the result's index
      source += step[i];
      if (++index[i] < result.shape[i])
        break;
      source -= step[i] * result.shape[i];
      index[i] = 0;
    }
  }
  return result;
}

GoldenTensor reshaped(GoldenTensor tensor, Shape shape) {
  tensor.shape = std::move(shape);
  return tensor;
}

} // namespace oriel::trainer
