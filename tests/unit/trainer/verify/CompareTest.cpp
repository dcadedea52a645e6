// The rule by which golden tensors pass.
#include "trainer/verify/Compare.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <limits>

namespace oriel::trainer {
namespace {

using Values = std::vector<float>;

TEST(Compare, EqualTensorsPass) {
  Comparison result = compare(Values{1, 2}, Values{1, 2}, 0);
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.largest, 0);
  EXPECT_EQ(result.relative, 0);
}

TEST(Compare, TheRelativeErrorDecides) {
  EXPECT_TRUE(compare(Values{1.0001f, 0}, Values{1, 0}, 2e-4).ok);
  Comparison result = compare(Values{1.0001f, 0}, Values{1, 0}, 5e-5);
  EXPECT_FALSE(result.ok);
  EXPECT_NEAR(result.relative, 1e-4, 1e-6);
  EXPECT_NEAR(result.largest, 1e-4, 1e-6);
}

TEST(Compare, TinyDifferencesPassWhateverTheirRatio) {
  EXPECT_TRUE(compare(Values{9e-7f}, Values{0}, 1e-5).ok);
  EXPECT_FALSE(compare(Values{2e-6f}, Values{0}, 1e-5).ok);
}

TEST(Compare, ValuesThatAreNotFiniteFail) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EXPECT_FALSE(compare(Values{1, bad}, Values{1, 1}, 1e9).ok);
    EXPECT_FALSE(compare(Values{1, 1}, Values{1, bad}, 1e9).ok);
    EXPECT_FALSE(compare(Values{1, bad}, Values{1, bad}, 1e9).ok);
  }
}

TEST(Compare, DescribesItselfOnOneLine) {
  EXPECT_EQ(compare(Values{2}, Values{1}, 1e-5).describe(), "max 1.0e+00  rel 1.0e+00  tol 1.0e-05  FAIL");
}

} // namespace
} // namespace oriel::trainer
