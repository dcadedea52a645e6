// Packed documents never see each other: one row of documents gives, within 1e-6, what each document gives in a row of
// its own, in every output and every gradient, through the compiled kernels.
//
// The measure is that of the golden data, per tensor and per document: ||a-b|| / ||b|| <= 1e-6. It is not bit for bit
// because tiles begin at multiples of their size in the row, not in the document, so that f32 sums over keys have
// another order. Gradients of parameters are sums over documents.
#include "tests/support/compiled/LmCase.h"
#include "trainer/verify/Compare.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>

namespace oriel::testing {
namespace {

using Value = LmCase::Value;
using Shape = LmCase::Shape;

constexpr double tolerance = 1e-6;

/// A function of one row, with doc_start or without. Tensors whose second size is the row's length belong to tokens.
struct Model {
  int64_t heads = 4, kvHeads = 2, headDim = 16, valueDim = 16, window = 20, rows = 1;
  std::function<void(const Model &, LmCase &, int64_t tokens, const std::vector<Value> &docs)> build = nullptr;
  std::string schedule = ""; // tape.schedule lines
};

LmCase makeCase(const Model &model, int64_t tokens, const std::vector<int64_t> &lengths) {
  LmCase c;
  c.schedule = model.schedule;
  std::vector<Value> docs;
  if (!lengths.empty())
    docs.push_back(c.documents(std::vector<std::vector<int64_t>>(size_t(model.rows), lengths)));
  model.build(model, c, tokens, docs);
  return c;
}

// Models -------------------------------------------------------------------------------------------------------------

struct Heads {
  Value q, k, v;
};

Heads inputHeads(const Model &m, LmCase &c, int64_t tokens) {
  return {c.input("q", {m.rows, tokens, m.heads, m.headDim}), c.input("k", {m.rows, tokens, m.kvHeads, m.headDim}),
          c.input("v", {m.rows, tokens, m.kvHeads, m.valueDim})};
}

void attention(const Model &m, LmCase &c, int64_t tokens, const std::vector<Value> &docs) {
  Heads in = inputHeads(m, c, tokens);
  std::vector<Value> operands{in.q, in.k, in.v};
  operands.insert(operands.end(), docs.begin(), docs.end());
  auto results = c.op("lm.attention", operands)
                     .integer("window", m.window)
                     .real("scale", 1 / std::sqrt(double(m.headDim)))
                     .results({{m.rows, tokens, m.heads, m.valueDim}, {m.rows, m.heads, tokens}});
  c.result("o", results[0]);
}

void linearAttention(const Model &m, LmCase &c, int64_t tokens, const std::vector<Value> &docs) {
  Heads in = inputHeads(m, c, tokens);
  Value h0 = c.input("h0", {m.heads, 2 * m.headDim, m.valueDim});
  auto results = c.op("lm.residual_linear_attention", {in.q, in.k, in.v})
                     .group("initial_state", {h0})
                     .group("doc_start", docs)
                     .integer("window", m.window)
                     .attribute("feature_map", "#lm.feature_map<softmax>")
                     .results({{m.rows, tokens, m.heads, m.valueDim}, {m.rows, m.heads, 2 * m.headDim, m.valueDim}});
  c.result("o", results[0]);
}

/// x → q, k, v → rattention with everything it can have → output projection, as in the golden family rattention_layer.
void layer(const Model &m, LmCase &c, int64_t tokens, const std::vector<Value> &docs) {
  const int64_t width = 48;
  Value x = c.input("x", {m.rows, tokens, width});
  auto project = [&](const std::string &name, int64_t heads, int64_t dim) {
    Value weight = c.input(name, {heads * dim, width}, 1 / std::sqrt(double(width)));
    Value y = c.op("lm.linear", {x, weight}).result({m.rows, tokens, heads * dim});
    return c.op("lm.reshape", {y}).result({m.rows, tokens, heads, dim});
  };
  Value q = project("wq", m.heads, m.headDim), k = project("wk", m.kvHeads, m.headDim);
  Value v = project("wv", m.kvHeads, m.valueDim), linearScale = c.input("rla_scale", {m.heads, m.valueDim});
  Value y = c.op("lm.rattention", {q, k, v, linearScale})
                .group("swa_scale", {c.input("swa_scale", {m.heads, m.valueDim})})
                .group("tokens",
                       {c.input("k_tokens", {m.heads, 24, m.headDim}), c.input("v_tokens", {m.heads, 24, m.valueDim})})
                .group("doc_start", docs)
                .integer("window", m.window)
                .attribute("feature_map", "#lm.feature_map<softmax>")
                .real("eps", 1e-6)
                .real("theta", 1e4)
                .attribute("rope_layout", "#lm.rope_layout<half>")
                .integer("rotary_dim", m.headDim)
                .result({m.rows, tokens, m.heads, m.valueDim});
  int64_t inner = m.heads * m.valueDim;
  Value flat = c.op("lm.reshape", {y}).result({m.rows, tokens, inner});
  Value out = c.input("wo", {width, inner}, 1 / std::sqrt(double(inner)));
  c.result("y", c.op("lm.linear", {flat, out}).result({m.rows, tokens, width}));
}

// Comparison ---------------------------------------------------------------------------------------------------------

using Values = std::vector<float>;

/// Tokens [start, start + length) of each row of a tensor of `rows` x `tokens` vectors.
Values slice(const Values &all, int64_t rows, int64_t tokens, int64_t start, int64_t length) {
  int64_t perToken = int64_t(all.size()) / (rows * tokens);
  Values part;
  for (int64_t row = 0; row < rows; ++row) {
    auto first = all.begin() + (row * tokens + start) * perToken;
    part.insert(part.end(), first, first + length * perToken);
  }
  return part;
}

bool belongsToTokens(const LmCase::Tensor &tensor, int64_t rows, int64_t tokens) {
  return tensor.shape.size() > 1 && tensor.shape[0] == rows && tensor.shape[1] == tokens;
}

class PackedRow {
public:
  PackedRow(const Model &model, const std::vector<int64_t> &lengths) : model_(model), lengths_(lengths) {
    for (int64_t length : lengths)
      tokens_ += length;
    packed_ = makeCase(model, tokens_, lengths);
    packedOutputs_ = runCompiled(packed_, TEST_ORIELC);
  }

  void compareWithDocumentsAlone() {
    std::vector<std::string> names = packed_.outputNames();
    ASSERT_EQ(packedOutputs_.size(), names.size());
    std::vector<std::vector<double>> parameterSums(names.size());
    for (int64_t start = 0; int64_t length : lengths_) {
      std::vector<Values> alone = runCompiled(document(start, length), TEST_ORIELC);
      ASSERT_EQ(alone.size(), names.size());
      for (size_t i = 0; i < names.size(); ++i)
        if (isPerToken(i))
          expectClose(slice(packedOutputs_[i], model_.rows, tokens_, start, length), alone[i],
                      names[i] + " of the document at " + std::to_string(start));
        else
          addTo(parameterSums[i], alone[i]);
      start += length;
    }
    for (size_t i = 0; i < names.size(); ++i)
      if (!isPerToken(i))
        expectClose(packedOutputs_[i], Values(parameterSums[i].begin(), parameterSums[i].end()), names[i]);
  }

private:
  /// One document as a case of its own, on its part of the packed case's arguments.
  LmCase document(int64_t start, int64_t length) {
    LmCase alone = makeCase(model_, length, {});
    for (const LmCase::Tensor &tensor : packed_.arguments())
      if (!tensor.isInteger && belongsToTokens(tensor, model_.rows, tokens_))
        alone.argument(tensor.name).values = slice(tensor.values, model_.rows, tokens_, start, length);
    return alone;
  }

  /// Results belong to tokens; a gradient does if its argument does.
  bool isPerToken(size_t output) {
    return output < packed_.resultCount() ||
           belongsToTokens(packed_.argument(packed_.outputNames()[output].substr(1)), model_.rows, tokens_);
  }

  static void addTo(std::vector<double> &sum, const Values &part) {
    sum.resize(part.size());
    for (size_t i = 0; i < part.size(); ++i)
      sum[i] += part[i];
  }

  static void expectClose(const Values &actual, const Values &expected, const std::string &what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    trainer::Comparison comparison = trainer::compare(actual, expected, tolerance);
    EXPECT_LE(comparison.relative, tolerance) << what << ": " << comparison.describe();
  }

  Model model_;
  std::vector<int64_t> lengths_;
  int64_t tokens_ = 0;
  LmCase packed_;
  std::vector<Values> packedOutputs_;
};

/// Odd lengths, so that boundaries fall inside tiles and chunks; documents of one token, shorter than the window, of
/// exactly the window and one more, and longer than several tiles.
const std::vector<int64_t> documentLengths = {37, 1, 20, 21, 150, 64};

void check(Model model) { PackedRow(model, documentLengths).compareWithDocumentsAlone(); }

TEST(PackedEqualsAloneTest, WindowAttention) { check({.build = attention}); }
TEST(PackedEqualsAloneTest, FullAttention) { check({.window = -1, .build = attention}); }
TEST(PackedEqualsAloneTest, AttentionOfManyGroups) { check({.window = 70, .rows = 3, .build = attention}); }
TEST(PackedEqualsAloneTest, AttentionWithWideHeads) {
  check({.heads = 6, .kvHeads = 1, .headDim = 128, .valueDim = 72, .window = -1, .build = attention});
}
TEST(PackedEqualsAloneTest, LinearAttention) { check({.build = linearAttention}); }
TEST(PackedEqualsAloneTest, LinearAttentionInSmallChunks) {
  check({.heads = 6,
         .kvHeads = 1,
         .headDim = 24,
         .window = 15,
         .build = linearAttention,
         .schedule = "tape.schedule @vjp.residual_linear_attention chunk 16 save_every 3\n"});
}
TEST(PackedEqualsAloneTest, RAttentionLayer) { check({.build = layer}); }
TEST(PackedEqualsAloneTest, RAttentionLayerInOneKernel) {
  check({.build = layer, .schedule = "tape.schedule @vjp.residual_linear_attention chunk 32 save_every 2 fused\n"});
}
TEST(PackedEqualsAloneTest, RAttentionLayerOfManyGroups) {
  check({.heads = 8, .kvHeads = 4, .window = 64, .build = layer});
}

} // namespace
} // namespace oriel::testing
