// Mistakes in the waits of a loop whose copies run three iterations ahead.
#include "tests/numerics/nvidia/BlockSum.h"
#include "tests/numerics/nvidia/PlantedTest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PlantedPipelineBugsTest : public PlantedTest {
protected:
  PlantedPipelineBugsTest() : lowered_(lower(blockSum, NvidiaTarget::sm80(), /*withChecks=*/true)) {}

  /// Seven iterations, more than there are stages.
  std::string found(const std::string &text) {
    alignas(32) static float a[32 * 32], b[224 * 32], o[32 * 32];
    alignas(32) static int32_t rows = 224;
    return std::string(run(lowered_, text, {a, b, &rows, o}).message());
  }

  LoweredKernels lowered_;
};

TEST_F(PlantedPipelineBugsTest, NothingIsFoundInTheLoopAsItIsLowered) {
  ASSERT_EQ(lowered_.kernels[0].stages, 4);
  EXPECT_EQ(found(lowered_.text()), "");
}

/// The wait of an iteration leaves the copies of the next two in flight, and not those of its own.
TEST_F(PlantedPipelineBugsTest, AWaitThatIsMissingOrLeavesOneGroupMoreIsFound) {
  std::string text = lowered_.text(), wait = "nvvm.cp.async.wait.group 2";
  std::vector<size_t> waits = placesOf(text, wait);
  ASSERT_EQ(waits.size(), 1u);
  auto isFound = AllOf(HasSubstr("missing wait: read of shared memory by [line"), HasSubstr("tile.dot"),
                       HasSubstr("data of cp.async (its target) by [line"), HasSubstr("is in flight"));
  EXPECT_THAT(found(withoutLineAt(text, waits[0])), isFound);
  EXPECT_THAT(found(replaced(text, wait, "nvvm.cp.async.wait.group 3")), isFound);
}

/// The copies of iteration i + 3 go where iteration i - 1 read.
TEST_F(PlantedPipelineBugsTest, AStageThatIsFilledWhileItIsReadIsFound) {
  std::string text = lowered_.text();
  size_t wait = text.find("nvvm.cp.async.wait.group 2"), barrier = text.find("nvvm.barrier", wait);
  ASSERT_NE(barrier, text.npos);
  EXPECT_THAT(found(withoutLineAt(text, barrier)),
              AllOf(HasSubstr("race: cp.async (its target) by [line"), HasSubstr("tile.load"),
                    HasSubstr("no barrier orders it after the read of shared memory by")));
}

} // namespace
} // namespace oriel::testing
