// Golden data through the whole NVIDIA path without a GPU: lm text, orielc --target nvidia-emulated, package, the CUDA
// executor over the emulated driver.
#include "runtime/base/TemporaryFolder.h"
#include "tests/support/golden/GoldenCases.h"
#include "trainer/verify/VerifyCommand.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace oriel::trainer {
namespace {

using ::testing::EndsWith, ::testing::HasSubstr;

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

  void expectOk(const std::string &tolerance) {
    std::vector<std::string> lines = run();
    EXPECT_EQ(status_, absl::OkStatus());
    EXPECT_FALSE(lines.empty());
    for (const std::string &line : lines) {
      EXPECT_THAT(line, HasSubstr(tolerance));
      EXPECT_THAT(line, EndsWith("  ok"));
    }
  }

  /// Within 1e-3, which tf32 operands keep where no result is raised to a power of e or cancels: those products are
  /// precise.
  void expectOkInF32() { expectOk("tol 1.0e-03"); }

  /// bf16 kernels against f32 kernels on arguments that bf16 holds. Sums that cancel are no exception: the gradient of
  /// the keys' bias, which only rotary positions keep from being zero, has 7.0e-3 in c06_swa_only.
  void expectOkInBf16() {
    options_.dtype = "bf16";
    expectOk("tol 1.0e-02");
  }

  VerifyOptions options_;
  absl::Status status_;
};

TEST_P(NvidiaRun, TensorsPass) { expectOkInF32(); }

TEST_P(NvidiaRun, TensorsPassInBf16) { expectOkInBf16(); }

/// The same with products of warpgroups, which are of bf16, in every sixth case: the code for the others is the same.
class NvidiaRunOnHopper : public NvidiaRun {
protected:
  void SetUp() override {
    NvidiaRun::SetUp();
    options_.chip = "sm_90a";
    std::vector<std::string> some;
    for (size_t i = 0; i < options_.cases.size(); i += 6)
      some.push_back(options_.cases[i]);
    options_.cases = some;
  }
};

TEST_P(NvidiaRunOnHopper, TensorsPass) {
  options_.cases.resize(1);
  expectOkInF32();
}

TEST_P(NvidiaRunOnHopper, TensorsPassInBf16) { expectOkInBf16(); }

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
  auto folder = runtime::TemporaryFolder::create("oriel-prebuilt");
  ASSERT_TRUE(folder.ok()) << folder.status();
  options_.keep = folder->path();
  options_.compileOnly = true;
  EXPECT_TRUE(run().empty());
  EXPECT_EQ(status_, absl::OkStatus());
  std::swap(options_.keep, options_.prebuilt);
  options_.compileOnly = false;
  ::setenv("ORIELC", "/none", 1);
  EXPECT_EQ(run(), want);
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

constexpr const char *families[] = {"rla_op",        "rla_prefill", "linear_attention",
                                    "group_rmsnorm", "attention",   "rattention_layer"};
auto familyOf = [](const auto &info) { return std::string(info.param); };
INSTANTIATE_TEST_SUITE_P(Families, NvidiaRun, ::testing::ValuesIn(families), familyOf);
INSTANTIATE_TEST_SUITE_P(Families, NvidiaRunOnHopper, ::testing::ValuesIn(families), familyOf);

} // namespace
} // namespace oriel::trainer
