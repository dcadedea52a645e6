// Loops whose copies run ahead: with no iteration, with fewer than there are stages, and with more, under several
// orders of the threads.
#include "tests/numerics/nvidia/BlockSum.h"
#include "tests/support/nvidia/NvidiaTest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cmath>

namespace oriel::testing {
namespace {

using ::testing::HasSubstr;

using PipelineTest = NvidiaTest;

TEST_F(PipelineTest, GivesThePlainSumForAnyNumberOfIterations) {
  auto kernels = compile(lower(blockSum));
  std::vector<float> a(32 * 32), b(224 * 32); // small integers: every product and sum is exact
  for (int i = 0; i < 32 * 32; ++i)
    a[i] = static_cast<float>(i % 7 - 3);
  for (int i = 0; i < 224 * 32; ++i)
    b[i] = static_cast<float>(i % 11 - 5);
  for (int32_t rows : {0, 32, 64, 130, 224})
    for (uint64_t seed : {1, 2, 3}) {
      std::vector<float> o(32 * 32, NAN), want(32 * 32);
      for (int i = 0; i < 32; ++i)
        for (int k = 0; k < rows; ++k)
          for (int j = 0; j < 32; ++j)
            want[i * 32 + j] += a[i * 32 + k % 32] * b[k * 32 + j];
      ASSERT_EQ(kernels->launch(0, {a.data(), b.data(), &rows, o.data()}, seed), absl::OkStatus());
      EXPECT_EQ(o, want) << rows << " rows, seed " << seed;
    }
}

/// Four stages: an iteration waits until its own copies have landed, and leaves those of the next two in flight.
TEST_F(PipelineTest, LeavesTheCopiesOfLaterIterationsInFlight) {
  LoweredKernels lowered = lower(blockSum);
  EXPECT_THAT(lowered.ptx(), HasSubstr("cp.async.wait_group \t2"));
  EXPECT_EQ(lowered.kernels[0].stages, 4);
  constexpr int64_t tileBytes = 32 * (32 * 4 + 32); // rows are padded by 32 bytes
  EXPECT_EQ(lowered.kernels[0].sharedBytes, (1 + 4) * tileBytes) << "a once, b for four iterations";
}

} // namespace
} // namespace oriel::testing
