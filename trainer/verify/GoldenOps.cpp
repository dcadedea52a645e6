// The families that are one op each: rla_op, rla_prefill, linear_attention, group_rmsnorm, attention.
#include "trainer/verify/GoldenCase.h"

#include "absl/strings/str_cat.h"

namespace oriel::trainer {
namespace {

/// [B,heads,T,D] in the file → [B,T,heads,D].
GoldenTensor headsTensor(GoldenReader &reader, const std::string &name) {
  return permuted(reader.tensor(name, 4), {0, 2, 1, 3});
}

LmValue headsArgument(GoldenCaseBuilder &builder, const std::string &name, bool hasGradient) {
  GoldenTensor tensor = headsTensor(builder.reader, name);
  return hasGradient ? builder.argument(tensor, headsTensor(builder.reader, absl::StrCat("d", name)))
                     : builder.argument(tensor);
}

} // namespace

GoldenCase goldenResidualLinearAttention(GoldenReader &reader, bool isPrefill) {
  GoldenCaseBuilder builder(reader, 1e-5, 1e-5);
  bool hasGradient = !isPrefill;
  LmValue q = headsArgument(builder, "q", hasGradient), k = headsArgument(builder, "k", hasGradient);
  LmValue v = headsArgument(builder, "v", hasGradient);
  // One state per row and query head, [B,N,2D,E], which is the dialect's layout already.
  GoldenTensor state = reader.tensor("h0", 4);
  LmValue initial = hasGradient ? builder.argument(state, reader.tensor("dh0", 4)) : builder.argument(state);
  std::vector<LmValue> lengths;
  if (isPrefill)
    lengths.push_back(builder.argument(reader.tensor("lengths", 1)));

  std::vector<LmValue> results =
      builder.function.op("lm.residual_linear_attention", {q, k, v})
          .group("initial_state", {initial})
          .group("lengths", lengths)
          .integer("window", reader.integer("window"))
          .attribute("feature_map", absl::StrCat("#lm.feature_map<", reader.text("feature_map"), ">"))
          .results({{q.shape[0], q.shape[1], q.shape[2], v.shape[3]}, initial.shape});
  if (isPrefill) {
    builder.result(results[0], headsTensor(reader, "o"));
    builder.result(results[1], reader.tensor("state", 4));
    return std::move(builder).finish();
  }
  builder.result(results[0], headsTensor(reader, "o"), headsTensor(reader, "do"));
  if (reader.has("dhT"))
    builder.result(results[1], reader.tensor("hT", 4), reader.tensor("dhT", 4));
  else
    builder.result(results[1], reader.tensor("hT", 4));
  return std::move(builder).finish();
}

namespace {

/// [B,1,KV,D] in the file → [B,KV,D].
GoldenTensor sumTensor(GoldenReader &reader, const std::string &name) {
  GoldenTensor tensor = reader.tensor(name, 4);
  if (tensor.shape.size() == 4)
    tensor.shape.erase(tensor.shape.begin() + 1);
  return tensor;
}

} // namespace

GoldenCase goldenLinearAttention(GoldenReader &reader) {
  GoldenCaseBuilder builder(reader, 1e-5, 1e-5);
  bool normalize = reader.flag("normalize");
  auto argument = [&](const std::string &name) {
    return builder.argument(reader.tensor(name, 4), reader.tensor("d" + name, 4));
  };
  LmValue q = argument("q"), k = argument("k"), v = argument("v");
  std::vector<LmValue> initial;
  if (reader.has("h0")) {
    initial.push_back(argument("h0"));
    if (normalize)
      initial.push_back(builder.argument(sumTensor(reader, "z0"), sumTensor(reader, "dz0")));
  }
  LmFunction::OpText op = builder.function.op("lm.linear_attention", {q, k, v});
  op.group("initial", initial).real("scale", reader.real("scale"));
  std::vector<Shape> shapes = {{q.shape[0], q.shape[1], q.shape[2], v.shape[3]},
                               {k.shape[0], k.shape[2], k.shape[3], v.shape[3]}};
  if (normalize) {
    op.attribute("normalize", "");
    shapes.push_back({k.shape[0], k.shape[2], k.shape[3]});
  }
  std::vector<LmValue> results = op.results(shapes);
  builder.result(results[0], reader.tensor("o", 4), reader.tensor("do", 4));
  if (reader.has("dhT"))
    builder.result(results[1], reader.tensor("hT", 4), reader.tensor("dhT", 4));
  else
    builder.result(results[1], reader.tensor("hT", 4));
  if (normalize)
    builder.result(results[2], sumTensor(reader, "zT"));
  return std::move(builder).finish();
}

GoldenCase goldenRmsNorm(GoldenReader &reader) {
  GoldenCaseBuilder builder(reader, 1e-6, 1e-6);
  LmValue x = builder.argument(reader.tensor("x", 4), reader.tensor("dx", 4));
  LmValue scale = builder.argument(reader.tensor("scale", 2), reader.tensor("dscale", 2));
  LmValue y = builder.function.op("lm.rms_norm", {x, scale}).real("eps", reader.real("eps")).result(x.shape);
  builder.result(y, reader.tensor("y", 4), reader.tensor("dy", 4));
  return std::move(builder).finish();
}

GoldenCase goldenAttention(GoldenReader &reader) {
  GoldenCaseBuilder builder(reader, 1e-5, 2e-5);
  LmValue q = headsArgument(builder, "q", true), k = headsArgument(builder, "k", true);
  LmValue v = headsArgument(builder, "v", true);
  std::vector<LmValue> operands{q, k, v};
  if (reader.flag("segments"))
    operands.push_back(builder.argument(documentStarts(reader)));
  std::vector<LmValue> results =
      builder.function.op("lm.attention", operands)
          .integer("window", reader.integer("window"))
          .real("scale", reader.real("scale"))
          .real("soft_cap", reader.real("logit_soft_cap"))
          .results({{q.shape[0], q.shape[1], q.shape[2], v.shape[3]}, {q.shape[0], q.shape[2], q.shape[1]}});
  builder.result(results[0], headsTensor(reader, "o"), headsTensor(reader, "do"));
  builder.result(results[1], reader.tensor("lse", 3));
  return std::move(builder).finish();
}

} // namespace oriel::trainer
