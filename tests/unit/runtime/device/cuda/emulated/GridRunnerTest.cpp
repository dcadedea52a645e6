// Loading a library of emulated kernels and running grids of it.
#include "runtime/device/cuda/emulated/GridRunner.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <numeric>

namespace oriel::runtime::emulated {
namespace {

using ::testing::HasSubstr;

class GridRunnerTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto object = KernelObject::load(TEST_KERNELS);
    ASSERT_TRUE(object.ok()) << object.status();
    object_ = std::move(*object);
    std::iota(in_.begin(), in_.end(), 0);
  }

  /// How many of the outputs of `kernel` are right.
  int run(const char *kernel, int threads, uint64_t seed) {
    GridRunner runner(threads, seed);
    std::vector<int> out(in_.size(), -1);
    void *arguments[] = {in_.data(), out.data()};
    EXPECT_EQ(runner.run(**object_->find(kernel), arguments, shape_), absl::OkStatus());
    int right = 0;
    for (int i = 0; i < static_cast<int>(out.size()); ++i)
      right += out[i] == i / 64 * 64 + 63 - i % 64;
    return right;
  }

  static constexpr LaunchShape shape_ = {{2, 3, 4}, 64, 256};
  std::vector<int> in_ = std::vector<int>(2 * 3 * 4 * 64);
  std::unique_ptr<KernelObject> object_;
};

TEST_F(GridRunnerTest, RunsEveryThreadOfEveryBlockOnAnyNumberOfCores) {
  for (int threads : {1, 2, 5})
    for (uint64_t seed : {0, 1, 2})
      EXPECT_EQ(run("reverse", threads, seed), 2 * 3 * 4 * 64);
}

TEST_F(GridRunnerTest, AMissingBarrierGivesWrongResultsUnderEverySeed) {
  for (uint64_t seed : {0, 1, 2})
    EXPECT_LT(run("reverseUnordered", 2, seed), 2 * 3 * 4 * 64 * 3 / 4);
}

TEST_F(GridRunnerTest, ARunCanBeRepeatedOnAnyNumberOfCores) {
  EXPECT_EQ(run("reverseUnordered", 1, 9), run("reverseUnordered", 4, 9));
}

TEST_F(GridRunnerTest, NamesTheFirstFaultyBlockAndTheKernel) {
  GridRunner runner(2, 1);
  absl::Status status = runner.run(**object_->find("overflow"), nullptr, {{4, 1, 1}, 64, 256});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "overflow: block (1, 0, 0): a write to byte 256 of 256 bytes of shared memory");
}

TEST_F(GridRunnerTest, RefusesShapesThatNoGpuTakes) {
  GridRunner runner(1, 1);
  const KernelEntry &kernel = **object_->find("reverse");
  for (LaunchShape shape : {LaunchShape{{0, 1, 1}, 64, 0},
                            {{1, 65536, 1}, 64, 0},
                            {{1, 1, 1}, 1025, 0},
                            {{1, 1, 1}, 0, 0},
                            {{1, 1, 1}, 64, 228 * 1024}})
    EXPECT_EQ(runner.run(kernel, nullptr, shape).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(GridRunnerTest, FindsKernelsByName) {
  EXPECT_EQ((*object_->find("reverse"))->argumentCount, 2);
  EXPECT_EQ(object_->find("none").status(),
            absl::NotFoundError(TEST_KERNELS " has no kernel 'none' for the emulator"));
}

TEST(KernelObject, SaysWhatIsWrongWithALibrary) {
  EXPECT_THAT(std::string(KernelObject::load("/none.so").status().message()),
              HasSubstr("cannot load emulated kernels"));
  absl::Status status = (*KernelObject::load(UNKNOWN_IMPORT))->find("teleport").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("calls 'orielEmulatedTeleport', which the emulator of this build"));
}

} // namespace
} // namespace oriel::runtime::emulated
