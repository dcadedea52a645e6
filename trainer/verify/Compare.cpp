// Sums in fp64; a value that is not finite is never right.
#include "trainer/verify/Compare.h"

#include "absl/strings/str_format.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace oriel::trainer {

namespace {
constexpr double absoluteTolerance = 1e-6;
constexpr double infinity = std::numeric_limits<double>::infinity();
} // namespace

Comparison compare(absl::Span<const float> actual, absl::Span<const float> expected, double tolerance) {
  Comparison result;
  result.tolerance = tolerance;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    double delta = static_cast<double>(actual[i]) - expected[i];
    if (!std::isfinite(delta))
      delta = infinity;
    difference += delta * delta;
    norm += static_cast<double>(expected[i]) * expected[i];
    result.largest = std::max(result.largest, std::abs(delta));
  }
  if (difference > 0)
    result.relative = norm > 0 ? std::sqrt(difference) / std::sqrt(norm) : infinity;
  result.ok = result.relative <= tolerance || result.largest <= absoluteTolerance;
  return result;
}

std::string Comparison::describe() const {
  return absl::StrFormat("max %.1e  rel %.1e  tol %.1e  %s", largest, relative, tolerance, ok ? "ok" : "FAIL");
}

} // namespace oriel::trainer
