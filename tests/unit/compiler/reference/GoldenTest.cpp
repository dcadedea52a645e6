// The interpreter against golden data of public reference implementations, values and gradients, through
// --oriel-decompose and --oriel-differentiate.
#include "tests/support/golden/GoldenCases.h"
#include "tests/support/lm/LmProgram.h"
#include "trainer/verify/GoldenCase.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <string>

using oriel::reference::Tensor;
using oriel::trainer::GoldenCase;
using oriel::trainer::GoldenTensor;
using oriel::trainer::SafetensorsFile;

namespace {

// Golden outputs are float64 results rounded once to float32: nothing but that rounding may be left (6e-8 relative).
constexpr double kTolerance = 2e-7;

Tensor widened(const GoldenTensor &golden) {
  return Tensor(golden.shape, std::vector<double>(golden.values.begin(), golden.values.end()));
}

void expectEqual(const GoldenTensor &expected, const Tensor &actual) {
  ASSERT_EQ(expected.shape, actual.shape) << expected.name;
  double difference = 0, norm = 0, largest = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    double delta = actual.data[i] - expected.values[i];
    difference += delta * delta;
    norm += double(expected.values[i]) * expected.values[i];
    largest = std::max(largest, std::abs(delta));
  }
  // Gradients that are zero by the mathematics are not exactly zero in the reference.
  EXPECT_TRUE(std::sqrt(difference) <= kTolerance * std::sqrt(norm) || largest <= 1e-12)
      << expected.name << ": relative error " << std::sqrt(difference / norm) << ", largest " << largest;
}

void runCase(const std::string &path) {
  SCOPED_TRACE(path);
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  absl::StatusOr<GoldenCase> golden = readGoldenCase(*file);
  ASSERT_TRUE(golden.ok()) << golden.status();

  oriel::testing::LmProgram program(golden->text);
  ASSERT_TRUE(program.valid()) << program.errors() << golden->text;
  ASSERT_TRUE(program.decompose() && program.differentiate()) << program.errors();
  std::vector<Tensor> arguments;
  for (const GoldenTensor &argument : golden->arguments)
    arguments.push_back(widened(argument));
  std::vector<Tensor> results = program.run("vjp", arguments);
  ASSERT_EQ(results.size(), golden->expected.size()) << program.errors();
  for (size_t i = 0; i < results.size(); ++i)
    expectEqual(golden->expected[i].tensor, results[i]);
}

class GoldenTest : public ::testing::TestWithParam<const char *> {};

TEST_P(GoldenTest, InterpreterAgreesWithTheReference) {
  std::vector<std::string> cases = oriel::tests::goldenCasesOf(GetParam());
  if (cases.empty())
    GTEST_SKIP() << "golden data not found: set ORIEL_GOLDEN to the folder that holds " << GetParam();
  for (const auto &path : cases)
    runCase(path);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenTest,
                         ::testing::Values("rla_op", "rla_prefill", "linear_attention", "group_rmsnorm", "attention",
                                           "rattention_layer"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
