// Compares a computed tensor with a golden one, by the rule of the golden data: the relative error ||a-b|| / ||b|| is
// at most the tolerance, or every element is within 1e-6 (some gradients are zero but for rounding).
#ifndef ORIEL_TRAINER_VERIFY_COMPARE_H
#define ORIEL_TRAINER_VERIFY_COMPARE_H

#include "absl/types/span.h"

#include <string>

namespace oriel::trainer {

struct Comparison {
  double largest = 0;  // max |a-b|; infinite when a value is not finite
  double relative = 0; // ||a-b|| / ||b||; infinite when b is zero and a is not
  double tolerance = 0;
  bool ok = false;

  /// "max 1.2e-07  rel 3.4e-07  tol 1.0e-05  ok"
  std::string describe() const;
};

/// Sizes must be equal.
Comparison compare(absl::Span<const float> actual, absl::Span<const float> expected, double tolerance);

} // namespace oriel::trainer

#endif
