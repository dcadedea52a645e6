#include "tests/numerics/reference/Families.h"

#include <cmath>

namespace oriel::testing {
namespace {

using Value = LmCase::Value;
using Shape = LmCase::Shape;

constexpr int64_t rows = 2, width = 24, heads = 4, kvHeads = 2, headDim = 20, valueDim = 12;

/// Row 0 packs documents of odd lengths, row 1 is one document.
Value documents(LmCase &c, int64_t tokens) { return c.documents({fillRow(tokens, {37, 1, 64, 5, 21}), {tokens}}); }

// Projections, norms, positions, gates -------------------------------------------------------------------------------

LmCase embed(int64_t tokens) {
  LmCase c;
  Value table = c.input("table", {11, width}), ids = c.integers("tokens", {rows, tokens}, 0, 10);
  c.result("y", c.op("lm.embed", {table, ids}).attribute("scale", "1.5 : f32").result({rows, tokens, width}));
  return c;
}

LmCase linear(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), w = c.input("w", {30, width}), bias = c.input("bias", {30});
  Value y = c.op("lm.linear", {x, w, bias}).result({rows, tokens, 30});
  Value heads5 = c.op("lm.reshape", {y}).result({rows, tokens, 5, 6}), scale = c.input("scale", {6});
  Value scaled = c.op("lm.scale_channels", {heads5, scale}).result({rows, tokens, 5, 6});
  c.result("y", c.op("lm.add", {scaled, heads5}).result({rows, tokens, 5, 6}));
  return c;
}

LmCase norms(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), w = c.input("w", {width}), perHead = c.input("per_head", {4, 6});
  Value y = c.op("lm.rms_norm", {x, w}).real("eps", 1e-6).attribute("plus_one", "").result({rows, tokens, width});
  Value split = c.op("lm.reshape", {y}).result({rows, tokens, 4, 6});
  c.result("y", c.op("lm.rms_norm", {split, perHead}).real("eps", 1e-8).result({rows, tokens, 4, 6}));
  return c;
}

Value rope(LmCase &c, const Value &x, const std::vector<Value> &docs, const std::string &layout, int64_t rotary) {
  std::vector<Value> operands{x};
  operands.insert(operands.end(), docs.begin(), docs.end());
  return c.op("lm.rope", operands)
      .real("theta", 1e4)
      .attribute("layout", "#lm.rope_layout<" + layout + ">")
      .integer("rotary_dim", rotary)
      .result(x.shape);
}

LmCase positions(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, 3, headDim});
  c.result("half", rope(c, x, {}, "half", headDim));
  c.result("interleaved", rope(c, x, {documents(c, tokens)}, "interleaved", 8));
  return c;
}

LmCase gates(int64_t tokens) {
  LmCase c;
  Value gate = c.input("gate", {rows, tokens, width}, 3), up = c.input("up", {rows, tokens, width});
  Value silu = c.op("lm.gated_activation", {gate, up}).attribute("activation", "#lm.activation<silu>").result(up.shape);
  c.result("y",
           c.op("lm.gated_activation", {up, silu}).attribute("activation", "#lm.activation<gelu>").result(up.shape));
  return c;
}

LmCase gatedMlp(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), gate = c.input("gate", {36, width}, 0.3);
  Value up = c.input("up", {36, width}, 0.3), down = c.input("down", {width, 36}, 0.3);
  Value y = c.op("lm.gated_mlp", {x, gate, up, down}).attribute("activation", "#lm.activation<silu>").result(x.shape);
  c.result("y", c.op("lm.add", {y, x}).result(x.shape));
  return c;
}

/// A residual stream with everything that --oriel-fuse-pointwise joins.
LmCase residuals(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), before = c.input("before", {width}), after = c.input("after", {width});
  Value gate = c.input("gate", {36, width}, 0.3), up = c.input("up", {36, width}, 0.3);
  Value down = c.input("down", {width, 36}, 0.3);
  Value normed = c.op("lm.rms_norm", {x, before}).real("eps", 1e-6).result(x.shape);
  Value y =
      c.op("lm.gated_mlp", {normed, gate, up, down}).attribute("activation", "#lm.activation<silu>").result(x.shape);
  Value sum = c.op("lm.add", {x, y}).result(x.shape);
  c.result("sum", sum);
  c.result("z", c.op("lm.rms_norm", {sum, after}).real("eps", 1e-6).attribute("plus_one", "").result(x.shape));
  return c;
}

// Loss ---------------------------------------------------------------------------------------------------------------

LmCase loss(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), w = c.input("w", {50, width}, 0.5);
  Value targets = c.integers("targets", {rows, tokens}, -1, 49);
  c.result("loss", c.op("lm.cross_entropy", {x, w, targets}).real("soft_cap", 4).result({1}));
  return c;
}

LmCase logits(int64_t tokens) {
  LmCase c;
  Value x = c.input("x", {rows, tokens, width}), w = c.input("w", {50, width}, 0.5);
  Value position = c.integers("position", {rows}, 0, tokens - 1);
  Value y = c.op("lm.logits", {x, w, position}).real("soft_cap", 4).result({rows, 50});
  c.result("y", y, /*hasCotangent=*/false);
  return c;
}

// Softmax attention --------------------------------------------------------------------------------------------------

struct Heads {
  Value q, k, v;
};

Heads inputHeads(LmCase &c, int64_t batch, int64_t tokens) {
  return {c.input("q", {batch, tokens, heads, headDim}), c.input("k", {batch, tokens, kvHeads, headDim}),
          c.input("v", {batch, tokens, kvHeads, valueDim})};
}

void attend(LmCase &c, const Heads &in, std::vector<Value> docs, int64_t window, double softCap) {
  std::vector<Value> operands{in.q, in.k, in.v};
  operands.insert(operands.end(), docs.begin(), docs.end());
  int64_t batch = in.q.shape[0], tokens = in.q.shape[1];
  auto results = c.op("lm.attention", operands)
                     .integer("window", window)
                     .real("scale", 1 / std::sqrt(double(headDim)))
                     .real("soft_cap", softCap)
                     .results({{batch, tokens, heads, valueDim}, {batch, heads, tokens}});
  c.result("o", results[0]);
  c.result("lse", results[1], /*hasCotangent=*/false);
}

LmCase fullAttention(int64_t tokens) {
  LmCase c;
  attend(c, inputHeads(c, rows, tokens), {}, -1, 0);
  return c;
}

LmCase windowAttention(int64_t tokens) {
  LmCase c;
  Heads in = inputHeads(c, rows, tokens);
  attend(c, in, {documents(c, tokens)}, caseWindow, 0);
  return c;
}

/// One row: so few groups that dq and dkdv are kernels of their own.
LmCase softCapAttention(int64_t tokens) {
  LmCase c;
  Heads in = inputHeads(c, 1, tokens);
  attend(c, in, {c.documents({fillRow(tokens, {50, 3, 31})})}, -1, 2);
  return c;
}

// Residual linear attention ------------------------------------------------------------------------------------------

std::string chunks(const std::string &op, int64_t saveEvery) {
  return "tape.schedule @vjp." + op + " chunk " + std::to_string(caseChunk) + " save_every " +
         std::to_string(saveEvery) + "\n";
}

struct RlaOptions {
  const char *map;
  std::vector<Value> initialState, docs, lengths;
  int64_t window = caseWindow;
  bool hasCotangentOfState = true;
};

void rla(LmCase &c, const Heads &in, const RlaOptions &options) {
  int64_t tokens = in.q.shape[1];
  auto results = c.op("lm.residual_linear_attention", {in.q, in.k, in.v})
                     .group("initial_state", options.initialState)
                     .group("doc_start", options.docs)
                     .group("lengths", options.lengths)
                     .integer("window", options.window)
                     .attribute("feature_map", std::string("#lm.feature_map<") + options.map + ">")
                     .results({{rows, tokens, heads, valueDim}, {rows, heads, 2 * headDim, valueDim}});
  c.result("o", results[0], options.lengths.empty());
  c.result("final_state", results[1], options.lengths.empty() && options.hasCotangentOfState);
}

LmCase rlaWithStates(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("residual_linear_attention", 2);
  Heads in = inputHeads(c, rows, tokens);
  rla(c, in, {"softmax", {c.input("h0", {rows, heads, 2 * headDim, valueDim})}, {}, {}});
  return c;
}

LmCase rlaWithDocuments(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("residual_linear_attention", 3);
  Heads in = inputHeads(c, rows, tokens);
  Value h0 = c.input("h0", {heads, 2 * headDim, valueDim});
  rla(c, in, {"relu", {h0}, {documents(c, tokens)}, {}});
  return c;
}

/// window -1: plain causal linear attention. The compiler's own schedule, no state in or out.
LmCase rlaCausal(int64_t tokens) {
  LmCase c;
  rla(c, inputHeads(c, rows, tokens), {"softmax", {}, {}, {}, -1, /*hasCotangentOfState=*/false});
  return c;
}

LmCase rlaPrefill(int64_t tokens) {
  LmCase c;
  Heads in = inputHeads(c, rows, tokens);
  rla(c, in, {"softmax", {}, {}, {c.integers("lengths", {rows}, 0, tokens)}});
  return c;
}

// Linear attention without a feature map ----------------------------------------------------------------------------

void linearAttention(LmCase &c, const Heads &in, std::vector<Value> initial, std::vector<Value> docs, bool normalize,
                     bool hasCotangentOfState) {
  int64_t tokens = in.q.shape[1];
  auto op = c.op("lm.linear_attention", {in.q, in.k, in.v});
  op.group("initial", initial).group("doc_start", docs).real("scale", 0.25);
  std::vector<Shape> shapes = {{rows, tokens, heads, valueDim}, {rows, kvHeads, headDim, valueDim}};
  if (normalize) {
    op.attribute("normalize", "");
    shapes.push_back({rows, kvHeads, headDim});
  }
  auto results = op.results(shapes);
  c.result("o", results[0]);
  c.result("final_state", results[1], hasCotangentOfState);
  if (normalize)
    c.result("final_sum", results[2], hasCotangentOfState);
}

LmCase linearWithStates(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("linear_attention", 2);
  Heads in = inputHeads(c, rows, tokens);
  linearAttention(c, in, {c.input("h0", {rows, kvHeads, headDim, valueDim})}, {}, /*normalize=*/false, true);
  return c;
}

LmCase linearWithDocuments(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("linear_attention", 3);
  Heads in = inputHeads(c, rows, tokens);
  Value h0 = c.input("h0", {rows, kvHeads, headDim, valueDim});
  linearAttention(c, in, {h0}, {documents(c, tokens)}, /*normalize=*/false, true);
  return c;
}

/// Queries and keys are positive: a normaliser near zero would say nothing about the kernels.
LmCase linearNormalised(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("linear_attention", 2);
  Heads in{c.positive("q", {rows, tokens, heads, headDim}), c.positive("k", {rows, tokens, kvHeads, headDim}),
           c.input("v", {rows, tokens, kvHeads, valueDim})};
  Value h0 = c.input("h0", {rows, kvHeads, headDim, valueDim}), z0 = c.positive("z0", {rows, kvHeads, headDim});
  linearAttention(c, in, {h0, z0}, {documents(c, tokens)}, /*normalize=*/true, true);
  return c;
}

/// The compiler's own schedule, no state in or out.
LmCase linearAlone(int64_t tokens) {
  LmCase c;
  linearAttention(c, inputHeads(c, rows, tokens), {}, {}, /*normalize=*/false, false);
  return c;
}

// The whole mixer ----------------------------------------------------------------------------------------------------

/// Everything that lm.rattention can have at once.
LmCase rattention(int64_t tokens) {
  LmCase c;
  c.schedule = chunks("residual_linear_attention", 2);
  Heads in = inputHeads(c, rows, tokens);
  Value rlaScale = c.input("rla_scale", {heads, valueDim}), swaScale = c.input("swa_scale", {heads, valueDim});
  std::vector<Value> scales{c.input("q_scale", {headDim}), c.input("k_scale", {headDim})};
  std::vector<Value> learned{c.input("k_tokens", {heads, 33, headDim}), c.input("v_tokens", {heads, 33, valueDim})};
  std::vector<Value> norms{c.input("q_norm", {headDim}), c.input("k_norm", {headDim})};
  c.result("y", c.op("lm.rattention", {in.q, in.k, in.v, rlaScale})
                    .group("swa_scale", {swaScale})
                    .group("qk_scale", scales)
                    .group("tokens", learned)
                    .group("qk_norm", norms)
                    .group("doc_start", {documents(c, tokens)})
                    .integer("window", caseWindow)
                    .attribute("feature_map", "#lm.feature_map<softmax>")
                    .real("eps", 1e-6)
                    .real("theta", 1e4)
                    .attribute("rope_layout", "#lm.rope_layout<half>")
                    .integer("rotary_dim", headDim)
                    .real("soft_cap", 5)
                    .result({rows, tokens, heads, valueDim}));
  return c;
}

/// The same with both parts in one kernel.
LmCase fusedRattention(int64_t tokens) {
  LmCase c = rattention(tokens);
  c.schedule += " fused";
  return c;
}

} // namespace

const std::vector<Family> &families() {
  static const std::vector<Family> all = {
      {"embed", embed, false, 1e-6, 1e-5},
      {"linear", linear, false, 1e-5, 1e-5},
      {"norms", norms, false, 1e-6, 1e-5},
      {"positions", positions, false, 1e-6, 1e-6},
      {"gates", gates, false, 1e-5, 1e-5},
      {"gated_mlp", gatedMlp, false, 1e-5, 1e-5},
      {"residuals", residuals, false, 1e-5, 1e-5},
      {"loss", loss, false, 1e-6, 1e-5},
      {"logits", logits, false, 1e-5, 1e-5},
      {"full_attention", fullAttention, true, 1e-5, 2e-5},
      {"window_attention", windowAttention, true, 1e-5, 2e-5},
      {"soft_cap_attention", softCapAttention, true, 1e-5, 2e-5},
      {"rla_states", rlaWithStates, true, 1e-5, 1e-5},
      {"rla_documents", rlaWithDocuments, true, 1e-5, 1e-5},
      {"rla_causal", rlaCausal, true, 1e-5, 1e-5},
      {"rla_prefill", rlaPrefill, true, 1e-5, 1e-5},
      {"linear_states", linearWithStates, true, 1e-5, 1e-5},
      {"linear_documents", linearWithDocuments, true, 1e-5, 1e-5},
      {"linear_normalised", linearNormalised, true, 1e-5, 1e-5},
      {"linear_alone", linearAlone, true, 1e-5, 1e-5},
      {"rattention", rattention, true, 1e-5, 2e-5},
      {"fused_rattention", fusedRattention, true, 1e-5, 2e-5},
  };
  return all;
}

} // namespace oriel::testing
