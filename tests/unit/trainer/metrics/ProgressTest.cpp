// Progress texts, and plain lines into a file.
#include "trainer/metrics/Progress.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

namespace oriel::trainer {
namespace {

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(formatDuration(0), "0:00");
  EXPECT_EQ(formatDuration(192.4), "3:12");
  EXPECT_EQ(formatDuration(3723), "1:02:03");
  EXPECT_EQ(formatDuration(2 * 86400 + 3 * 3600 + 240), "2 d 03:04");
  EXPECT_EQ(formatDuration(NAN), "?");
  EXPECT_EQ(formatDuration(INFINITY), "?");
}

TEST(Progress, FormatsSteps) {
  EXPECT_EQ(formatStep({120, 2.31449, 1e-3, 0.5, 11412, 0.412}, 1000, 192, /*wide=*/false),
            "step 120/1000  loss 2.3145  11.4k tok/s  MFU 41.2 %  ETA 3:12");
  EXPECT_EQ(formatStep({120, 2.31449, 3e-4, 0.51234, 11412, 0.412}, 1000, 192, /*wide=*/true),
            "step 120/1000  loss 2.3145  grad norm 0.512  lr 3.00e-04  11.4k tok/s  MFU 41.2 %  ETA 3:12");
  EXPECT_EQ(formatStep({1, 5.5, 0, 0, 950, std::nullopt}, 2, NAN, /*wide=*/false),
            "step 1/2  loss 5.5000  950 tok/s  ETA ?");
}

TEST(Progress, WritesPlainLinesToAFile) {
  TemporaryFolder folder;
  std::FILE *out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(0, 100, out, /*lineEvery=*/1000);
    for (int64_t step = 1; step <= 100; ++step)
      progress.update({step, 1.0, 0, 0, 100, std::nullopt});
    progress.note("validation loss 1.5");
  }
  std::fclose(out);
  std::string text = readText(folder / "out");
  EXPECT_THAT(text, testing::StartsWith("step 1/100"));
  EXPECT_THAT(text, testing::HasSubstr("\nstep 100/100  loss 1.0000  grad norm 0  lr 0.00e+00  100 tok/s  ETA 0:00\nvalidation loss 1.5\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("\x1b")));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("step 50/")));
}

} // namespace
} // namespace oriel::trainer
