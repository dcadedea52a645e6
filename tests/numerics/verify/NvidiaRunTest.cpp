// Golden data through the whole NVIDIA path without a GPU: lm text, orielc --target nvidia-emulated, package, the CUDA
// executor over the emulated driver.
#include "tests/support/golden/GoldenCases.h"
#include "trainer/verify/VerifyCommand.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <unistd.h>

namespace oriel::trainer {
namespace {

using ::testing::HasSubstr;

class NvidiaRun : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    ::setenv("ORIELC", TEST_ORIELC, 1);
    options_.target = "nvidia-emulated";
    options_.cases = tests::goldenCasesOf(GetParam());
    if (options_.cases.empty())
      GTEST_SKIP() << "golden data not found: set ORIEL_GOLDEN to the folder that holds " << GetParam();
  }

  /// The lines that verify prints.
  std::vector<std::string> run() {
    std::ostringstream out;
    status_ = verify(options_, out);
    std::istringstream text(out.str());
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);)
      lines.push_back(line);
    return lines;
  }

  VerifyOptions options_;
  absl::Status status_;
};

/// The number that a line of the table states after `word`.
double numberAfter(const std::string &line, const char *word) {
  return std::stod(line.substr(line.find(word) + std::strlen(word)));
}

/// The relative error of a tensor. Of one that is zero everywhere, the largest error: with a window of one token a
/// gradient of scores is the difference of two equal products (dO·v and dO·o), and rounding leaves something of it.
double errorOf(const std::string &line) {
  double relative = numberAfter(line, "  rel ");
  return std::isinf(relative) ? numberAfter(line, " max ") : relative;
}

/// Operands of products are rounded to tf32, half a unit of which is 2^-11: most tensors are off by 3e-4 to 1e-3, sharp
/// softmaxes (soft caps of 30 and 50) and their gradients by up to 4e-3.
TEST_P(NvidiaRun, TensorsAgreeWithinTf32) {
  int tensors = 0;
  for (const std::string &line : run()) {
    ++tensors;
    ASSERT_EQ(line.find("not run"), line.npos) << line;
    EXPECT_LE(errorOf(line), 5e-3) << line;
  }
  EXPECT_GT(tensors, 0) << status_;
}

/// bf16 kernels against f32 kernels on arguments that bf16 holds.
TEST_P(NvidiaRun, TensorsAgreeInBf16) {
  options_.dtype = "bf16";
  int tensors = 0;
  for (const std::string &line : run()) {
    ++tensors;
    ASSERT_EQ(line.find("not run"), line.npos) << line;
    EXPECT_THAT(line, HasSubstr("tol 1.0e-02"));
    EXPECT_LE(errorOf(line), 2e-2) << line; // one gradient cancels: GoldenRunTest.cpp, cancels()
  }
  EXPECT_GT(tensors, 0) << status_;
}

TEST_P(NvidiaRun, NeitherTheOrderOfThreadsNorTheirNumberOnTheHostChangesALine) {
  options_.cases.resize(1);
  options_.threads = 1;
  std::vector<std::string> first = run();
  options_.threads = 2;
  options_.seed = 12345;
  EXPECT_EQ(first, run());
}

TEST_P(NvidiaRun, PackagesRunWhereThereIsNoCompiler) {
  options_.cases.resize(1);
  std::vector<std::string> want = run();
  options_.keep = ::testing::TempDir() + "oriel-prebuilt-" + std::to_string(::getpid());
  options_.compileOnly = true;
  EXPECT_TRUE(run().empty());
  EXPECT_EQ(status_, absl::OkStatus());
  std::swap(options_.keep, options_.prebuilt);
  options_.compileOnly = false;
  ::setenv("ORIELC", "/none", 1);
  EXPECT_EQ(run(), want);
  std::filesystem::remove_all(options_.prebuilt);
}

TEST_P(NvidiaRun, SaysWhyACaseDidNotRunAndTriesTheNext) {
  options_.chip = "sm_1";
  options_.cases.resize(std::min<size_t>(options_.cases.size(), 2));
  std::vector<std::string> lines = run();
  EXPECT_EQ(lines.size(), options_.cases.size());
  for (const std::string &line : lines)
    EXPECT_THAT(line, HasSubstr("unknown --target 'nvidia-emulated:sm_1'"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("cases did not run on nvidia-emulated (sm_1)"));
}

INSTANTIATE_TEST_SUITE_P(Families, NvidiaRun,
                         ::testing::Values("rla_op", "rla_prefill", "linear_attention", "group_rmsnorm", "attention",
                                           "rattention_layer"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace oriel::trainer
