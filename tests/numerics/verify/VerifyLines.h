// What tests read in the lines that `oriel verify` prints.
#ifndef ORIEL_TESTS_NUMERICS_VERIFY_VERIFYLINES_H
#define ORIEL_TESTS_NUMERICS_VERIFY_VERIFYLINES_H

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <string>

namespace oriel::trainer {

/// The relative error that a line of the table states.
inline double relativeError(const std::string &line) { return std::stod(line.substr(line.find("  rel ") + 6)); }

/// One vector added to every key changes no softmax, so the gradient of the keys' bias is what rotary positions leave
/// of a sum that cancels. Rounded attention weights and outputs shift it by more than 1e-2 in one case;
/// tests/bench/NOTES.md tells which rounding does how much.
inline bool cancelsInBf16(const std::string &line) {
  return line.find("/c06_swa_only ") != line.npos && line.find("i_proj.k_proj.bias") != line.npos;
}

/// A line of a run in bf16 is ok; of a tensor that cancels, within 2e-2.
inline void expectOkInBf16(const std::string &line) {
  constexpr double cancellingTolerance = 2e-2;
  EXPECT_THAT(line, ::testing::HasSubstr("tol 1.0e-02"));
  if (cancelsInBf16(line))
    EXPECT_LE(relativeError(line), cancellingTolerance) << line;
  else
    EXPECT_THAT(line, ::testing::EndsWith("  ok"));
}

} // namespace oriel::trainer

#endif
