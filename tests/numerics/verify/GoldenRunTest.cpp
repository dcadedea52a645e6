// Golden data of public reference implementations through the whole path of `oriel verify`: lm text, orielc, package,
// executor.
#include "tests/support/golden/GoldenCases.h"
#include "trainer/verify/VerifyCommand.h"

#include "runtime/base/Files.h"
#include "trainer/checkpoint/Safetensors.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <unistd.h>

namespace oriel::trainer {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class GoldenRun : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    ::setenv("ORIELC", TEST_ORIELC, 1);
    cases_ = tests::goldenCasesOf(GetParam());
    if (cases_.empty())
      GTEST_SKIP() << "golden data not found: set ORIEL_GOLDEN to the folder that holds " << GetParam();
  }

  void expectEqualOutputs(const std::string &dtype) {
    std::string outputs[2];
    for (int i = 0; i < 2; ++i) {
      VerifyOptions options;
      options.cases = {cases_.front()};
      options.dtype = dtype;
      options.threads = i + 1;
      std::ostringstream out;
      EXPECT_EQ(verify(options, out), absl::OkStatus()) << out.str();
      outputs[i] = out.str();
    }
    EXPECT_EQ(outputs[0], outputs[1]);
  }

  std::vector<std::string> cases_;
};

TEST_P(GoldenRun, AllTensorsPass) {
  VerifyOptions options;
  options.cases = cases_;
  std::ostringstream out;
  EXPECT_EQ(verify(options, out), absl::OkStatus()) << out.str();
  EXPECT_THAT(out.str(), Not(HasSubstr("FAIL")));
  EXPECT_THAT(out.str(), HasSubstr("  ok\n"));
}

TEST_P(GoldenRun, TensorsPassInBf16) {
  VerifyOptions options;
  options.cases = cases_;
  options.dtype = "bf16";
  std::ostringstream out;
  EXPECT_EQ(verify(options, out), absl::OkStatus()) << out.str();
  std::istringstream lines(out.str());
  int tensors = 0;
  for (std::string line; std::getline(lines, line); ++tensors) {
    EXPECT_THAT(line, HasSubstr("tol 1.0e-02"));
    EXPECT_THAT(line, EndsWith("  ok"));
  }
  EXPECT_GT(tensors, 0);
}

TEST_P(GoldenRun, TheNumberOfThreadsChangesNoLine) {
  for (const char *dtype : {"f32", "bf16"})
    expectEqualOutputs(dtype);
}

/// The first case with one element of one expected tensor changed must fail, by that tensor alone.
TEST_P(GoldenRun, AWrongExpectationFails) {
  auto file = SafetensorsFile::open(cases_.front());
  ASSERT_TRUE(file.ok()) << file.status();
  std::string target = file->find("y") ? "y" : "o";
  std::vector<TensorToWrite> tensors;
  std::vector<std::byte> changed;
  for (const Tensor &tensor : file->tensors()) {
    tensors.push_back({tensor.name, tensor.type, tensor.shape, tensor.data});
    if (tensor.name != target)
      continue;
    changed.assign(tensor.data.begin(), tensor.data.end());
    reinterpret_cast<float *>(changed.data())[tensor.elements() / 2] += 0.1f;
    tensors.back().data = changed;
  }
  std::string path = ::testing::TempDir() + "oriel-wrong-" + std::to_string(::getpid()) + ".safetensors";
  ASSERT_TRUE(writeSafetensors(path, tensors, file->metadata()).ok());
  VerifyOptions options;
  options.cases = {path};
  std::ostringstream out;
  absl::Status status = verify(options, out);
  std::filesystem::remove(path);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 of "));
  EXPECT_THAT(out.str(), HasSubstr("FAIL"));
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenRun,
                         ::testing::Values("rla_op", "rla_prefill", "linear_attention", "group_rmsnorm", "attention",
                                           "rattention_layer"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace oriel::trainer
