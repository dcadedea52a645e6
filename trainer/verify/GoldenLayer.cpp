// The family rattention_layer: projections, the mixer and the output projection of a whole layer. The reference stores
// projection weights as [model, heads, head_dim]; linear layers of lm are [out, in].
#include "trainer/verify/GoldenCase.h"

#include "absl/strings/str_cat.h"

#include <cmath>

namespace oriel::trainer {
namespace {

class Layer {
public:
  explicit Layer(GoldenReader &reader) : reader_(reader), builder_(reader, 1e-5, 2e-5) {}

  GoldenCase build() && {
    LmValue x = builder_.argument(reader_.tensor("x", 3), reader_.tensor("dx", 3));
    LmValue q = projectIn(x, "q"), k = projectIn(x, "k"), v = projectIn(x, "v");
    LmValue context = reader_.flag("rla") ? mix(q, k, v) : attend(q, k, v);
    builder_.result(projectOut(context), reader_.tensor("y", 3), reader_.tensor("dy", 3));
    return std::move(builder_).finish();
  }

private:
  /// The parameter p.NAME and its gradient d.p.NAME, in the file's layout.
  LmValue parameter(const std::string &name, size_t rank) {
    return builder_.argument(reader_.tensor("p." + name, rank), reader_.tensor("d.p." + name, rank));
  }

  /// Parameters that stand together behind one key, or none if the file has not got them.
  std::vector<LmValue> pair(const std::string &first, const std::string &second, size_t rank) {
    if (!reader_.has("p." + first))
      return {};
    LmValue a = parameter(first, rank);
    return {a, parameter(second, rank)};
  }

  /// [M,heads,D] → [heads*D, M].
  static GoldenTensor outIn(const GoldenTensor &weight) {
    Shape shape{weight.shape[1] * weight.shape[2], weight.shape[0]};
    return reshaped(permuted(weight, {1, 2, 0}), shape);
  }
  static GoldenTensor flat(const GoldenTensor &bias) { return reshaped(bias, {bias.shape[0] * bias.shape[1]}); }

  LmValue projectIn(const LmValue &x, const char *which) {
    std::string name = absl::StrCat("i_proj.", which, "_proj.");
    GoldenTensor weight = reader_.tensor("p." + name + "weight", 3);
    std::vector<LmValue> operands{x,
                                  builder_.argument(outIn(weight), outIn(reader_.tensor("d.p." + name + "weight", 3)))};
    if (reader_.has("p." + name + "bias"))
      operands.push_back(builder_.argument(flat(reader_.tensor("p." + name + "bias", 2)),
                                           flat(reader_.tensor("d.p." + name + "bias", 2))));
    int64_t batch = x.shape[0], tokens = x.shape[1], heads = weight.shape[1], width = weight.shape[2];
    LmValue y = builder_.function.op("lm.linear", operands).result({batch, tokens, heads * width});
    return builder_.function.op("lm.reshape", {y}).result({batch, tokens, heads, width});
  }

  LmValue projectOut(const LmValue &context) {
    GoldenTensor weight = reader_.tensor("p.o_proj.weight", 3), gradient = reader_.tensor("d.p.o_proj.weight", 3);
    int64_t model = weight.shape[0], inner = weight.shape[1] * weight.shape[2];
    LmValue x = builder_.function.op("lm.reshape", {context}).result({context.shape[0], context.shape[1], inner});
    std::vector<LmValue> operands{
        x, builder_.argument(reshaped(weight, {model, inner}), reshaped(gradient, {model, inner}))};
    if (reader_.has("p.o_proj.bias"))
      operands.push_back(parameter("o_proj.bias", 1));
    return builder_.function.op("lm.linear", operands).result({x.shape[0], x.shape[1], model});
  }

  std::vector<LmValue> documents() {
    return reader_.flag("segments") ? std::vector<LmValue>{builder_.argument(documentStarts(reader_))}
                                    : std::vector<LmValue>{};
  }

  /// Window attention plus residual linear attention. The reference lets the linear part and the positions run across
  /// documents.
  LmValue mix(const LmValue &q, const LmValue &k, const LmValue &v) {
    int64_t window = reader_.integer("window");
    LmValue linearScale = parameter("rla_norm.scale", 2);
    std::vector<LmValue> windowScale;
    if (window >= 0)
      windowScale.push_back(parameter("swa_norm.scale", 2));
    std::vector<LmValue> scales = pair("residual_la.q_scale", "residual_la.k_scale", 1);
    std::vector<LmValue> tokens = pair("residual_la.k_tokens", "residual_la.v_tokens", 3), docs = documents();
    auto op = builder_.function.op("lm.rattention", {q, k, v, linearScale});
    op.group("swa_scale", windowScale).group("qk_scale", scales).group("tokens", tokens).group("doc_start", docs);
    op.integer("window", window)
        .attribute("feature_map", absl::StrCat("#lm.feature_map<", reader_.text("feature_map"), ">"))
        .real("eps", reader_.real("norm_eps"))
        .real("theta", reader_.real("rope_theta"))
        .attribute("rope_layout", "#lm.rope_layout<interleaved>")
        .integer("rotary_dim", q.shape[3]);
    if (!docs.empty())
      op.attribute("leak_documents", "");
    return op.result({q.shape[0], q.shape[1], q.shape[2], v.shape[3]});
  }

  LmValue rotated(const LmValue &x) {
    return builder_.function.op("lm.rope", {x})
        .real("theta", reader_.real("rope_theta"))
        .attribute("layout", "#lm.rope_layout<interleaved>")
        .integer("rotary_dim", x.shape[3])
        .result(x.shape);
  }

  /// A layer without the linear part: window attention, no norm.
  LmValue attend(const LmValue &q, const LmValue &k, const LmValue &v) {
    std::vector<LmValue> operands{rotated(q), rotated(k), v}, docs = documents();
    operands.insert(operands.end(), docs.begin(), docs.end());
    return builder_.function.op("lm.attention", operands)
        .integer("window", reader_.integer("window"))
        .real("scale", 1.0 / std::sqrt(double(q.shape[3])))
        .results({{q.shape[0], q.shape[1], q.shape[2], v.shape[3]}, {q.shape[0], q.shape[2], q.shape[1]}})
        .front();
  }

  GoldenReader &reader_;
  GoldenCaseBuilder builder_;
};

} // namespace

GoldenCase goldenRAttentionLayer(GoldenReader &reader) { return Layer(reader).build(); }

} // namespace oriel::trainer
