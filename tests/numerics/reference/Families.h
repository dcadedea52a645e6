// The functions that CompiledTest runs: for every family of lm ops a case at any row length.
#ifndef ORIEL_TESTS_NUMERICS_REFERENCE_FAMILIES_H
#define ORIEL_TESTS_NUMERICS_REFERENCE_FAMILIES_H

#include "tests/support/compiled/LmCase.h"

namespace oriel::testing {

/// Sizes that the families' windows and chunks are chosen from: row lengths of interest are these ± 1.
inline constexpr int64_t caseWindow = 20, caseChunk = 32;

struct Family {
  const char *name;
  LmCase (*build)(int64_t tokens);
  bool isMixer; // has a window or chunks
  /// Of ||a-b|| / ||b||, for results and for gradients (golden/README: attention and layers have 2e-5 for gradients).
  double tolerance, gradientTolerance;
};

const std::vector<Family> &families();

} // namespace oriel::testing

#endif
