// Golden cases on the emulator with every access checked: our kernels are clean, and what no check of memory can see, a
// window that is off by one, the golden values do.
#include "runtime/base/TemporaryFolder.h"
#include "tests/support/golden/GoldenCases.h"
#include "trainer/device/OpenDevice.h"
#include "trainer/verify/RunCase.h"
#include "trainer/verify/VerifyCommand.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace oriel::trainer {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string smallestCaseOf(const std::string &family) {
  std::vector<std::string> cases = tests::goldenCasesOf(family);
  auto bytes = [](const std::string &path) { return std::filesystem::file_size(path); };
  auto smallest =
      std::min_element(cases.begin(), cases.end(), [&](const auto &a, const auto &b) { return bytes(a) < bytes(b); });
  return smallest == cases.end() ? std::string() : *smallest;
}

class NvidiaChecks : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    ::setenv("ORIELC", TEST_ORIELC, 1);
    options_.target = "nvidia-emulated";
    options_.check = true;
    options_.cases = {smallestCaseOf(GetParam())};
    if (options_.cases[0].empty())
      GTEST_SKIP() << "golden data not found: set ORIEL_GOLDEN to the folder that holds " << GetParam();
  }

  void expectClean(const std::string &chip, const std::string &dtype) {
    options_.chip = chip, options_.dtype = dtype;
    std::ostringstream out;
    (void)verify(options_, out); // whether tensors pass is NvidiaRunTest's
    EXPECT_THAT(out.str(), HasSubstr("HBM x1."));
    EXPECT_THAT(out.str(), Not(HasSubstr("FOUND")));
    EXPECT_THAT(out.str(), Not(HasSubstr("not run")));
  }

  VerifyOptions options_;
};

TEST_P(NvidiaChecks, FindNothingInOurKernels) {
  for (const char *dtype : {"f32", "bf16"})
    expectClean("sm_80", dtype);
}

/// Only in bf16 is the code for Hopper another.
TEST_P(NvidiaChecks, FindNothingInOurKernelsForHopper) { expectClean("sm_90a", "bf16"); }

INSTANTIATE_TEST_SUITE_P(Families, NvidiaChecks,
                         ::testing::Values("rla_op", "rla_prefill", "linear_attention", "group_rmsnorm", "attention",
                                           "rattention_layer"),
                         [](const auto &info) { return std::string(info.param); });

TEST(NvidiaChecks, CheckIsOfTheEmulator) {
  VerifyOptions options;
  options.check = true;
  std::ostringstream out;
  EXPECT_THAT(std::string(verify(options, out).message()), HasSubstr("--target nvidia-emulated"));
}

/// A small case whose window leaves something to both of its sides.
absl::StatusOr<GoldenCase> windowCase() {
  for (const std::string &path : tests::goldenCasesOf("rla_op")) {
    auto file = SafetensorsFile::open(path);
    if (file.ok() && file->metadata().at("window") == "3")
      return readGoldenCase(*file);
  }
  return absl::NotFoundError("no golden case of rla_op with a window of 3");
}

TEST(PlantedBugs, AWindowThatIsOffByOneFailsTheGoldenValues) {
  if (tests::goldenCasesOf("rla_op").empty())
    GTEST_SKIP() << "golden data not found: set ORIEL_GOLDEN";
  auto golden = windowCase();
  ASSERT_TRUE(golden.ok()) << golden.status();
  auto device = openDevice({"cuda-emulated", {1, -1}, 1, {}});
  ASSERT_TRUE(device.ok()) << device.status();
  auto folder = runtime::TemporaryFolder::create("oriel-window");
  ASSERT_TRUE(folder.ok()) << folder.status();
  TextRun how{device->get(), TEST_ORIELC, folder->path(), {"--target", "nvidia-emulated:sm_80"}};
  how.leastTolerance = 1e-3;
  const std::string window = "window = 3";
  size_t at = golden->text.find(window);
  ASSERT_NE(at, std::string::npos) << golden->text;
  for (bool isPlanted : {false, true}) {
    if (isPlanted)
      golden->text.replace(at, window.size(), "window = 4");
    auto comparisons = runCase(*golden, how);
    ASSERT_TRUE(comparisons.ok()) << comparisons.status();
    for (const NamedComparison &named : *comparisons)
      if (named.tensor == "o") {
        EXPECT_EQ(named.comparison.ok, !isPlanted) << named.comparison.describe();
      }
  }
}

} // namespace
} // namespace oriel::trainer
