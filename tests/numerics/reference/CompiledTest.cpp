// DESIGN §7: compiled kernels against the fp64 reference interpreter. Each case is one function of lm ops; orielc
// differentiates, fuses, schedules and compiles it, the CPU runtime runs it, and every result and gradient is compared
// with what the interpreter makes of the same function after --oriel-decompose and --oriel-differentiate.
#include "compiler/transforms/MixerFusion.h"
#include "tests/numerics/reference/Families.h"
#include "tests/support/lm/LmProgram.h"
#include "trainer/verify/Compare.h"

#include "dialects/lm/LmDialect.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <set>

namespace oriel::testing {
namespace {

std::vector<reference::Tensor> interpret(const LmCase &c) {
  LmProgram program(c.text());
  EXPECT_TRUE(program.valid() && program.decompose() && program.differentiate()) << program.errors() << c.text();
  if (!program.errors().empty())
    return {};
  std::vector<reference::Tensor> arguments;
  for (const LmCase::Tensor &argument : c.arguments())
    arguments.emplace_back(argument.shape, std::vector<double>(argument.values.begin(), argument.values.end()));
  return program.run("vjp", arguments);
}

using Setting = std::tuple<Family, int64_t>;

class CompiledTest : public ::testing::TestWithParam<Setting> {};

TEST_P(CompiledTest, AgreesWithTheInterpreter) {
  auto [family, tokens] = GetParam();
  LmCase c = family.build(tokens);
  std::vector<reference::Tensor> expected = interpret(c);
  std::vector<std::vector<float>> actual = runCompiled(c, TEST_ORIELC);
  std::vector<std::string> names = c.outputNames();
  ASSERT_EQ(expected.size(), names.size());
  ASSERT_EQ(actual.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    ASSERT_EQ(actual[i].size(), expected[i].data.size()) << names[i];
    std::vector<float> rounded(expected[i].data.begin(), expected[i].data.end());
    double tolerance = i < c.resultCount() ? family.tolerance : family.gradientTolerance;
    auto comparison = trainer::compare(actual[i], rounded, tolerance);
    EXPECT_TRUE(comparison.ok) << names[i] << ": " << comparison.describe();
  }
}

/// Row lengths: one token, ends of tiles, and, for mixers, around the window and the chunk.
std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const Family &family : families()) {
    std::set<int64_t> lengths = {1, 63, 500};
    if (family.isMixer)
      lengths.insert({caseWindow - 1, caseWindow, caseWindow + 1, caseWindow + 2, caseChunk - 1, caseChunk + 1,
                      caseWindow + 1 + caseChunk});
    for (int64_t tokens : lengths)
      all.emplace_back(family, tokens);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Families, CompiledTest, ::testing::ValuesIn(settings()), [](const auto &info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::to_string(std::get<1>(info.param));
});

/// A new op of the dialect needs a family here.
TEST(FamiliesTest, RunEveryOpOfTheDialect) {
  std::set<std::string> registered, used;
  for (const Family &family : families()) {
    LmProgram program(family.build(40).text());
    ASSERT_TRUE(program.valid()) << program.errors();
    auto collect = [&] {
      program.module().walk([&](mlir::Operation *op) { used.insert(op->getName().getStringRef().str()); });
    };
    collect();
    ASSERT_TRUE(program.decompose() && program.differentiate()) << program.errors();
    collect();
    ASSERT_TRUE(program.fusePointwise()) << program.errors();
    std::vector<transforms::MixerFusion> fusions;
    program.module().walk([&](lm::ResidualLinearAttentionOp op) {
      if (auto fusion = transforms::findFusion(op))
        fusions.push_back(*fusion);
    });
    llvm::for_each(fusions, transforms::fuse);
    collect();
    for (mlir::RegisteredOperationName name : program.context().getRegisteredOperations())
      if (name.getDialectNamespace() == lm::LmDialect::getDialectNamespace())
        registered.insert(name.getStringRef().str());
  }
  EXPECT_GT(registered.size(), 20u);
  EXPECT_THAT(used, ::testing::IsSupersetOf(registered));
}

} // namespace
} // namespace oriel::testing
