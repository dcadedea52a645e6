// Packed documents never see each other: a row that packs documents gives the outputs and gradients of the documents
// run alone, in fp64.
#include "tests/support/lm/LmProgram.h"
#include "gtest/gtest.h"

#include <cmath>
#include <string>

using oriel::reference::Tensor;
using oriel::testing::LmProgram;

namespace {

/// One rattention mixer with learned tokens on a row of `tokens` tokens. {q, k, v | g, s, kt, vt | doc_start}.
std::string mixerText(int64_t tokens, int64_t window) {
  std::string t = std::to_string(tokens);
  std::string q = "tensor<1x" + t + "x4x6xf32>", k = "tensor<1x" + t + "x2x6xf32>", v = "tensor<1x" + t + "x2x5xf32>";
  std::string o = "tensor<1x" + t + "x4x5xf32>", d = "tensor<1x" + t + "xi32>";
  std::string parameters = "tensor<4x5xf32>, tensor<4x5xf32>, tensor<4x3x6xf32>, tensor<4x3x5xf32>";
  return "func.func @f(%q: " + q + ", %k: " + k + ", %v: " + v +
         ", %g: tensor<4x5xf32>, %s: tensor<4x5xf32>, %kt: tensor<4x3x6xf32>, %vt: tensor<4x3x5xf32>, %d: " + d +
         ") -> " + o + R"( attributes {lm.vjp = {wrt = [0, 1, 2, 3, 4, 5, 6], cotangents = [true]}} {
  %y = lm.rattention %q, %k, %v, %g swa_scale(%s) tokens(%kt, %vt) doc_start(%d)
    {window = )" +
         std::to_string(window) +
         R"( : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64,
     rope_layout = #lm.rope_layout<half>, rotary_dim = 6 : i64}
    : ()" +
         q + ", " + k + ", " + v + ", " + parameters + ", " + d + ") -> " + o + "\n  return %y : " + o + "\n}\n";
}

std::vector<Tensor> runMixer(int64_t tokens, int64_t window, const std::vector<Tensor> &arguments) {
  LmProgram program(mixerText(tokens, window));
  EXPECT_TRUE(program.valid() && program.decompose() && program.differentiate()) << program.errors();
  std::vector<Tensor> results = program.run("vjp", arguments);
  EXPECT_EQ(results.size(), 8u) << program.errors();
  return results;
}

/// Tokens [start, start + count) of a [1,T,…] tensor.
Tensor slice(const Tensor &row, int64_t start, int64_t count) {
  int64_t perToken = row.size() / row.dim(1);
  std::vector<int64_t> shape = row.shape;
  shape[1] = count;
  auto first = row.data.begin() + start * perToken;
  return Tensor(shape, std::vector<double>(first, first + count * perToken));
}

void expectNear(const Tensor &actual, const Tensor &expected, const std::string &what) {
  ASSERT_EQ(actual.shape, expected.shape) << what;
  for (int64_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual.data[i], expected.data[i], 1e-11 * (1 + std::abs(expected.data[i])))
        << what << ", element " << i;
}

class DocumentsTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(DocumentsTest, APackedRowEqualsItsDocumentsAlone) {
  const int64_t window = GetParam();
  const std::vector<int64_t> lengths = {5, 1, 9, 2, 3};
  int64_t tokens = 0;
  Tensor starts({1, 20});
  for (int64_t length : lengths)
    for (int64_t start = tokens; tokens < start + length; ++tokens)
      starts.at(0, tokens) = double(start);
  ASSERT_EQ(tokens, starts.dim(1));

  using oriel::testing::randomTensor;
  std::vector<Tensor> arguments = {randomTensor({1, tokens, 4, 6}, 1),
                                   randomTensor({1, tokens, 2, 6}, 2),
                                   randomTensor({1, tokens, 2, 5}, 3),
                                   randomTensor({4, 5}, 4),
                                   randomTensor({4, 5}, 5),
                                   randomTensor({4, 3, 6}, 6),
                                   randomTensor({4, 3, 5}, 7),
                                   starts,
                                   randomTensor({1, tokens, 4, 5}, 8)};
  std::vector<Tensor> packed = runMixer(tokens, window, arguments);
  std::vector<Tensor> parameterSums;
  for (size_t i = 4; i < packed.size(); ++i)
    parameterSums.push_back(Tensor::zerosLike(packed[i]));

  int64_t start = 0;
  for (int64_t length : lengths) {
    std::vector<Tensor> alone = arguments;
    for (size_t i : {0, 1, 2, 8})
      alone[i] = slice(arguments[i], start, length);
    alone[7] = Tensor({1, length});
    std::vector<Tensor> results = runMixer(length, window, alone);
    for (size_t i = 0; i < 4; ++i) // the output, dq, dk, dv
      expectNear(slice(packed[i], start, length), results[i], "result " + std::to_string(i));
    for (size_t i = 4; i < results.size(); ++i)
      oriel::reference::addScaled(parameterSums[i - 4].data.data(), 1.0, results[i].data.data(), results[i].size());
    start += length;
  }
  for (size_t i = 4; i < packed.size(); ++i)
    expectNear(packed[i], parameterSums[i - 4], "gradient of parameter " + std::to_string(i - 4));
}

INSTANTIATE_TEST_SUITE_P(Windows, DocumentsTest, ::testing::Values(0, 1, 2, 4, 30));

TEST(DocumentsTest, LeavingTheBoundariesOutChangesTheResult) {
  using oriel::testing::randomTensor;
  std::vector<Tensor> arguments = {randomTensor({1, 8, 4, 6}, 1), randomTensor({1, 8, 2, 6}, 2),
                                   randomTensor({1, 8, 2, 5}, 3), randomTensor({4, 5}, 4),
                                   randomTensor({4, 5}, 5),       randomTensor({4, 3, 6}, 6),
                                   randomTensor({4, 3, 5}, 7),    Tensor({1, 8}, {0, 0, 0, 3, 3, 3, 3, 3}),
                                   randomTensor({1, 8, 4, 5}, 8)};
  Tensor packed = runMixer(8, 1, arguments)[0];
  arguments[7] = Tensor({1, 8});
  Tensor whole = runMixer(8, 1, arguments)[0];
  for (int64_t i = 0; i < 3 * 4 * 5; ++i) // the tokens of the first document
    EXPECT_EQ(packed.data[i], whole.data[i]);
  EXPECT_NE(packed.at(0, 3, 0, 0), whole.at(0, 3, 0, 0));
}

} // namespace
