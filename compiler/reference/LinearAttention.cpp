#include "compiler/reference/LinearAttention.h"

namespace oriel::reference {
namespace {

constexpr double normaliserEpsilon = 1e-10;

/// The index arithmetic that forward and gradient share. Vectors are rows of [B,T,heads,·]; a state of (b, kv) is D
/// rows of [B,KV,D,E] and one of [B,KV,D].
struct Rows {
  explicit Rows(const LinearAttentionInputs &in)
      : batch(in.q.dim(0)), tokens(in.q.dim(1)), heads(in.q.dim(2)), kvHeads(in.k.dim(2)), dim(in.q.dim(3)),
        valueDim(in.v.dim(3)), docStart(in.docStart), hasInitial(in.initialState != nullptr) {}

  const int64_t batch, tokens, heads, kvHeads, dim, valueDim;
  const Tensor *docStart;
  const bool hasInitial;

  int64_t query(int64_t b, int64_t t, int64_t n) const { return (b * tokens + t) * heads + n; }
  int64_t kvHead(int64_t n) const { return n / (heads / kvHeads); }
  int64_t key(int64_t b, int64_t i, int64_t kv) const { return (b * tokens + i) * kvHeads + kv; }
  int64_t state(int64_t b, int64_t kv) const { return b * kvHeads + kv; }
  int64_t first(int64_t b, int64_t t) const { return docStart ? int64_t(docStart->at(b, t)) : 0; }
  /// Whether token t's document goes on from the initial state.
  bool seesInitial(int64_t b, int64_t t) const { return hasInitial && first(b, t) == 0; }
};

/// What a query reads: the sum of its weighted values, and of its weights.
struct Read {
  std::vector<double> values;
  double weights = 0;
};

Read readOf(const LinearAttentionInputs &in, const Rows &rows, int64_t b, int64_t t, int64_t n, double scale) {
  Read read{std::vector<double>(rows.valueDim, 0.0)};
  const double *q = in.q.row(rows.query(b, t, n));
  int64_t kv = rows.kvHead(n), state = rows.state(b, kv);
  for (int64_t i = rows.first(b, t); i <= t; ++i) {
    double weight = scale * dot(q, in.k.row(rows.key(b, i, kv)), rows.dim);
    addScaled(read.values.data(), weight, in.v.row(rows.key(b, i, kv)), rows.valueDim);
    read.weights += weight;
  }
  if (!rows.seesInitial(b, t))
    return read;
  for (int64_t d = 0; d < rows.dim; ++d)
    addScaled(read.values.data(), scale * q[d], in.initialState->row(state * rows.dim + d), rows.valueDim);
  if (in.initialSum)
    read.weights += scale * dot(q, in.initialSum->row(state), rows.dim);
  return read;
}

} // namespace

LinearAttentionOutputs linearAttention(const LinearAttentionInputs &in, const LinearAttentionSpec &spec) {
  Rows rows(in);
  LinearAttentionOutputs out{Tensor({rows.batch, rows.tokens, rows.heads, rows.valueDim}),
                             Tensor({rows.batch, rows.kvHeads, rows.dim, rows.valueDim}),
                             Tensor({rows.batch, rows.kvHeads, rows.dim})};
  for (int64_t b = 0; b < rows.batch; ++b) {
    for (int64_t t = 0; t < rows.tokens; ++t)
      for (int64_t n = 0; n < rows.heads; ++n) {
        Read read = readOf(in, rows, b, t, n, spec.scale);
        double factor = spec.normalize ? 1.0 / (read.weights + normaliserEpsilon) : 1.0;
        addScaled(out.result.row(rows.query(b, t, n)), factor, read.values.data(), rows.valueDim);
      }
    for (int64_t kv = 0, last = rows.tokens - 1; kv < rows.kvHeads; ++kv) {
      int64_t state = rows.state(b, kv);
      for (int64_t i = rows.first(b, last); i <= last; ++i) {
        const double *k = in.k.row(rows.key(b, i, kv));
        for (int64_t d = 0; d < rows.dim; ++d)
          addScaled(out.finalState.row(state * rows.dim + d), k[d], in.v.row(rows.key(b, i, kv)), rows.valueDim);
        addScaled(out.finalSum.row(state), 1.0, k, rows.dim);
      }
      if (!rows.seesInitial(b, last))
        continue;
      addScaled(out.finalState.row(state * rows.dim), 1.0, in.initialState->row(state * rows.dim),
                rows.dim * rows.valueDim);
      if (in.initialSum)
        addScaled(out.finalSum.row(state), 1.0, in.initialSum->row(state), rows.dim);
    }
  }
  return out;
}

namespace {

class Gradient {
public:
  Gradient(const LinearAttentionInputs &in, const LinearAttentionSpec &spec, LinearAttentionGrads &out)
      : in_(in), spec_(spec), rows_(in), out_(out) {}

  /// The part of one query.
  void addQuery(int64_t b, int64_t t, int64_t n, const double *dresult) {
    std::vector<double> dvalues(dresult, dresult + rows_.valueDim);
    double dweights = 0;
    if (spec_.normalize) {
      Read read = readOf(in_, rows_, b, t, n, spec_.scale);
      double inverse = 1.0 / (read.weights + normaliserEpsilon);
      dweights = -dot(dresult, read.values.data(), rows_.valueDim) * inverse * inverse;
      for (double &d : dvalues)
        d *= inverse;
    }
    int64_t query = rows_.query(b, t, n), kv = rows_.kvHead(n);
    for (int64_t i = rows_.first(b, t); i <= t; ++i) {
      int64_t key = rows_.key(b, i, kv);
      double weight = spec_.scale * dot(in_.q.row(query), in_.k.row(key), rows_.dim);
      double dweight = spec_.scale * (dot(dvalues.data(), in_.v.row(key), rows_.valueDim) + dweights);
      addScaled(out_.dv.row(key), weight, dvalues.data(), rows_.valueDim);
      addScaled(out_.dq.row(query), dweight, in_.k.row(key), rows_.dim);
      addScaled(out_.dk.row(key), dweight, in_.q.row(query), rows_.dim);
    }
    if (rows_.seesInitial(b, t))
      addInitial(query, rows_.state(b, kv), dvalues.data(), dweights);
  }

  /// The part of the final state of (b, kv); either cotangent may be null.
  void addFinal(int64_t b, int64_t kv, const Tensor *dstate, const Tensor *dsum) {
    int64_t last = rows_.tokens - 1, state = rows_.state(b, kv);
    for (int64_t i = rows_.first(b, last); i <= last; ++i) {
      int64_t key = rows_.key(b, i, kv);
      for (int64_t d = 0; dstate && d < rows_.dim; ++d) {
        const double *cotangent = dstate->row(state * rows_.dim + d);
        addScaled(out_.dv.row(key), in_.k.row(key)[d], cotangent, rows_.valueDim);
        out_.dk.row(key)[d] += dot(cotangent, in_.v.row(key), rows_.valueDim);
      }
      if (dsum)
        addScaled(out_.dk.row(key), 1.0, dsum->row(state), rows_.dim);
    }
    if (!rows_.seesInitial(b, last))
      return;
    if (dstate)
      addScaled(out_.dinitialState.row(state * rows_.dim), 1.0, dstate->row(state * rows_.dim),
                rows_.dim * rows_.valueDim);
    if (dsum && in_.initialSum)
      addScaled(out_.dinitialSum.row(state), 1.0, dsum->row(state), rows_.dim);
  }

private:
  void addInitial(int64_t query, int64_t state, const double *dvalues, double dweights) {
    const double *q = in_.q.row(query);
    for (int64_t d = 0; d < rows_.dim; ++d) {
      int64_t row = state * rows_.dim + d;
      out_.dq.row(query)[d] += spec_.scale * dot(dvalues, in_.initialState->row(row), rows_.valueDim);
      addScaled(out_.dinitialState.row(row), spec_.scale * q[d], dvalues, rows_.valueDim);
    }
    if (!in_.initialSum)
      return;
    addScaled(out_.dq.row(query), spec_.scale * dweights, in_.initialSum->row(state), rows_.dim);
    addScaled(out_.dinitialSum.row(state), spec_.scale * dweights, q, rows_.dim);
  }

  const LinearAttentionInputs &in_;
  const LinearAttentionSpec &spec_;
  Rows rows_;
  LinearAttentionGrads &out_;
};

} // namespace

LinearAttentionGrads linearAttentionGrad(const LinearAttentionInputs &in, const Tensor &dresult,
                                         const Tensor *dfinalState, const Tensor *dfinalSum,
                                         const LinearAttentionSpec &spec) {
  Rows rows(in);
  LinearAttentionGrads out{Tensor::zerosLike(in.q), Tensor::zerosLike(in.k), Tensor::zerosLike(in.v),
                           in.initialState ? Tensor::zerosLike(*in.initialState) : Tensor(),
                           in.initialSum ? Tensor::zerosLike(*in.initialSum) : Tensor()};
  Gradient gradient(in, spec, out);
  for (int64_t b = 0; b < rows.batch; ++b) {
    for (int64_t t = 0; t < rows.tokens; ++t)
      for (int64_t n = 0; n < rows.heads; ++n)
        gradient.addQuery(b, t, n, dresult.row(rows.query(b, t, n)));
    for (int64_t kv = 0; kv < rows.kvHeads; ++kv)
      gradient.addFinal(b, kv, dfinalState, dfinalSum);
  }
  return out;
}

} // namespace oriel::reference
