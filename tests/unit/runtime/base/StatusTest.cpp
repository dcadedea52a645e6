// Tests of runtime/base: Status.h, Clock.h, Bytes.h.
#include "runtime/base/Status.h"

#include "runtime/base/Bytes.h"
#include "runtime/base/Clock.h"

#include "gtest/gtest.h"

namespace oriel::runtime {
namespace {

absl::StatusOr<int> half(int value) {
  if (value % 2 != 0)
    return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> quarter(int value) {
  ORIEL_ASSIGN_OR_RETURN(int first, half(value));
  ORIEL_ASSIGN_OR_RETURN(int second, half(first));
  return second;
}

TEST(Status, AssignOrReturnPassesValuesAndErrors) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(6).status(), absl::InvalidArgumentError("odd"));
}

TEST(Status, ContextGoesInFrontAndKeepsTheCode) {
  EXPECT_EQ(withContext(absl::NotFoundError("b"), "a"), absl::NotFoundError("a: b"));
  EXPECT_TRUE(withContext(absl::OkStatus(), "a").ok());
  absl::Status marked = absl::NotFoundError("b");
  marked.SetPayload("mark", absl::Cord("1"));
  EXPECT_EQ(withContext(marked, "a").GetPayload("mark"), absl::Cord("1"));
}

TEST(Status, ExitCodes) {
  EXPECT_EQ(exitCode(absl::OkStatus()), 0);
  EXPECT_EQ(exitCode(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(exitCode(absl::DataLossError("")), 1);
}

TEST(Deadline, ExpiresAndCountsDown) {
  EXPECT_TRUE(Deadline::after(0).expired());
  EXPECT_EQ(Deadline::after(-1).secondsLeft(), 0);
  Deadline later = Deadline::after(100);
  EXPECT_FALSE(later.expired());
  EXPECT_GT(later.secondsLeft(), 90);
  EXPECT_EQ(later.span(), 100);
  EXPECT_FALSE(Deadline::never().expired());
}

TEST(Bytes, AreFormattedForPeople) {
  EXPECT_EQ(formatBytes(0), "0 B");
  EXPECT_EQ(formatBytes(1023), "1023 B");
  EXPECT_EQ(formatBytes(1536), "1.5 KiB");
  EXPECT_EQ(formatBytes(uint64_t(5) << 30), "5.0 GiB");
}

} // namespace
} // namespace oriel::runtime
