// Edit distances and the suggestions made of them.
#include "trainer/config/Suggest.h"

#include "gtest/gtest.h"

#include <vector>

namespace oriel::trainer {
namespace {

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(editDistance("", ""), 0);
  EXPECT_EQ(editDistance("steps", ""), 5);
  EXPECT_EQ(editDistance("kitten", "sitting"), 3);
  EXPECT_EQ(editDistance("stpes", "steps"), 1) << "a swap of neighbours is one edit";
  EXPECT_EQ(editDistance("ca", "abc"), 3);
}

TEST(Suggest, FindsTheNearestName) {
  std::vector<std::string> known{"steps", "batch", "seed"};
  EXPECT_EQ(nearestName("stpes", known), "steps");
  EXPECT_EQ(nearestName("sed", known), "seed");
  EXPECT_EQ(nearestName("wavelength", known), "");
  EXPECT_EQ(suggestion("bach", known), "; did you mean 'batch'?");
  EXPECT_EQ(suggestion("wavelength", known), "; known are steps, batch, seed");
}

} // namespace
} // namespace oriel::trainer
