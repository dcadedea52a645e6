// Reads tensors and metadata of a golden file (a safetensors file with inputs and the outputs expected of them). The
// first thing that is missing or has the wrong form is remembered; what is read after it is empty. Check status() once.
#ifndef ORIEL_TRAINER_VERIFY_GOLDENREADER_H
#define ORIEL_TRAINER_VERIFY_GOLDENREADER_H

#include "absl/status/status.h"
#include "trainer/checkpoint/Safetensors.h"
#include "trainer/verify/LmFunction.h"

#include <string>
#include <vector>

namespace oriel::trainer {

/// A tensor in the layout of the lm function. Integers are held as floats below 2^24, which are exact.
struct GoldenTensor {
  std::string name; // in the golden file
  Shape shape;
  bool isInteger = false;
  std::vector<float> values;
};

class GoldenReader {
public:
  explicit GoldenReader(const SafetensorsFile &file) : file_(file) {}

  bool has(const std::string &name) const { return file_.find(name) != nullptr; }

  /// A tensor of `rank` dimensions as it lies in the file.
  GoldenTensor tensor(const std::string &name, size_t rank);

  std::string text(const std::string &key);
  int64_t integer(const std::string &key);
  double real(const std::string &key);
  /// "true" or "false"; a missing key is false.
  bool flag(const std::string &key);

  const absl::Status &status() const { return status_; }
  void fail(const std::string &message);

private:
  const SafetensorsFile &file_;
  absl::Status status_;
};

/// Reorders dimensions: result dimension i is dimension order[i] of `tensor`.
GoldenTensor permuted(const GoldenTensor &tensor, const std::vector<int> &order);

/// The same values under another shape of as many elements.
GoldenTensor reshaped(GoldenTensor tensor, Shape shape);

} // namespace oriel::trainer

#endif
