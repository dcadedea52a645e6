// Times kernels on one thread (least CPU time of some runs) and prints time, arithmetic rate and bandwidth.
// Usage: oriel-bench-kernels SHAPE [repeats] [tiles]
//   SHAPE  op, nano, small: the mixers of one layer; pointwise: everything else
//   tiles  every tile size of attention, not only the one that withDefaultTiles chooses
// Arithmetic counts visible pairs once and nothing that is made again, so the rate is below what the units do.
#include "kernels/attention/Attention.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/gate/Gate.h"
#include "kernels/loss/CrossEntropy.h"
#include "kernels/norm/RmsNorm.h"
#include "kernels/optim/Optim.h"
#include "kernels/rattention/RAttention.h"
#include "kernels/rope/Rope.h"
#include "tests/support/kernels/KernelRunner.h"
#include <cstdio>
#include <cstdlib>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

int repeats = 5;
bool allTiles = false; // every tile size of attention, not only the default

/// All buffers are made here from the kernel's own signature: random floats, zeros for i32.
template <typename Build, typename Spec>
void bench(const char *name, Build build, const std::string &symbol, const Spec &spec, std::vector<int64_t> sizes,
           std::vector<bool> isInteger, double flops) {
  std::vector<Floats> floats(sizes.size());
  std::vector<Ints> ints(sizes.size());
  std::vector<Argument> arguments;
  double bytes = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    bytes += 4.0 * static_cast<double>(sizes[i]);
    if (isInteger.size() > i && isInteger[i])
      arguments.push_back(ints[i] = Ints(sizes[i], 0));
    else
      arguments.push_back(floats[i] = randomFloats(sizes[i], static_cast<uint32_t>(i + 1)));
  }
  auto buildFn = [&](mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef s) { return build(b, loc, s, spec); };
  double seconds = timeKernel(buildFn, symbol, arguments, repeats);
  std::printf("%-22s %9.3f ms  %7.1f GFLOP/s  %6.1f GB/s\n", name, seconds * 1e3, flops / seconds * 1e-9,
              bytes / seconds * 1e-9);
}

/// A mixer as a model has it.
struct MixerShape {
  const char *name;
  int64_t batch, tokens, heads, kvHeads, headDim, window;
  int64_t queries() const { return batch * tokens * heads * headDim; }
  int64_t keys() const { return batch * tokens * kvHeads * headDim; }
  int64_t rows() const { return batch * tokens * heads; }
};
const MixerShape shapes[] = {
    {"op", 1, 8192, 8, 2, 128, 512}, {"nano", 8, 1024, 4, 2, 64, 128}, {"small", 1, 2048, 12, 4, 64, 512}};

RlaSpec rlaSpec(const MixerShape &m, int64_t chunk, int64_t saveEvery) {
  RlaSpec s;
  s.batch = m.batch, s.tokens = m.tokens, s.heads = m.heads, s.kvHeads = m.kvHeads, s.window = m.window;
  s.headDim = s.valueDim = m.headDim, s.documents = true, s.chunk = chunk, s.saveEvery = saveEvery;
  return s;
}

/// FLOPs of the chunk form: pairs inside the chunks, the carried state read by every head, its update per group.
struct RlaFlops {
  double pairs, read, update;
  explicit RlaFlops(const RlaSpec &s) {
    double product = 2.0 * s.headDim * s.valueDim;
    pairs = double(s.batch) * s.tokens * s.heads * 2.0 * s.chunk * s.headDim;
    read = double(s.batch) * s.tokens * s.heads * 2.0 * product;
    update = double(s.batch) * s.tokens * s.kvHeads * 2.0 * product;
  }
  double forward() const { return 3 * pairs + read + update; }
  double backward() const { return 8 * pairs + 2 * read + 2 * update; }
};

void benchRla(const MixerShape &m, int64_t chunk, int64_t saveEvery, bool twoPass) {
  RlaSpec s = rlaSpec(m, chunk, saveEvery);
  s.twoPass = twoPass;
  RlaFlops flops(s);
  int64_t state = m.batch * m.kvHeads * 2 * m.headDim * m.headDim, states = s.savedStates() * state;
  int64_t tokens = m.batch * m.tokens;
  std::string where = " c" + std::to_string(chunk) + " m" + std::to_string(saveEvery) + (twoPass ? " two-pass" : "");
  if (twoPass)
    bench(("rla_states" + where).c_str(), buildRlaStates, symbol(s, "states"), s, {m.keys(), m.keys(), tokens, states},
          {false, false, true}, flops.update);
  std::vector<int64_t> sizes = {m.queries(), m.keys(), m.keys(), tokens, m.queries()};
  sizes.insert(twoPass ? sizes.end() - 1 : sizes.end(), states);
  bench(("rla_fwd" + where).c_str(), buildRla, symbol(s, "fwd"), s, sizes, {false, false, false, true},
        flops.forward());
  if (!twoPass)
    bench(("rla_bwd" + where).c_str(), buildRlaGrad, symbol(s, "bwd"), s,
          {m.queries(), m.keys(), m.keys(), m.queries(), tokens, states, m.queries(), m.keys(), m.keys(),
           s.segmentChunks() * state},
          {false, false, false, false, true}, flops.backward());
}

AttentionSpec attentionSpec(const MixerShape &m, int64_t window) {
  AttentionSpec s;
  s.batch = m.batch, s.tokens = m.tokens, s.heads = m.heads, s.kvHeads = m.kvHeads;
  s.headDim = s.valueDim = m.headDim, s.window = window, s.documents = true, s.scale = 0.125;
  return s;
}

/// Query-key pairs that attention must look at.
double visiblePairs(const MixerShape &m, int64_t window) {
  double t = m.tokens, w = window < 0 ? t : std::min<double>(t, window + 1);
  return double(m.batch) * m.heads * (w * (w + 1) / 2 + (t - w) * w);
}

void benchAttention(const MixerShape &m, AttentionSpec s) {
  double pairs = visiblePairs(m, s.window);
  int64_t tokens = m.batch * m.tokens, q = m.queries(), k = m.keys(), rows = m.rows();
  std::string where = (s.window < 0 ? " full" : " w" + std::to_string(s.window)) + " q" + std::to_string(s.queryTile) +
                      " k" + std::to_string(s.keyTile);
  bench(("attn_fwd" + where).c_str(), buildAttention, symbol(s, "fwd"), s, {q, k, k, tokens, q, rows},
        {false, false, false, true}, pairs * 4 * m.headDim);
  std::vector<bool> integers = {false, false, false, false, false, false, true};
  bench(("attn_dq" + where).c_str(), buildAttentionDq, symbol(s, "dq"), s, {q, k, k, q, rows, rows, tokens, q, rows},
        integers, pairs * 6 * m.headDim);
  bench(("attn_dkdv" + where).c_str(), buildAttentionDkDv, symbol(s, "dkdv"), s, {q, k, k, q, rows, rows, tokens, k, k},
        integers, pairs * 8 * m.headDim);
  bench(("attn_grad" + where).c_str(), buildAttentionGrad, symbol(s, "grad"), s,
        {q, k, k, q, rows, rows, tokens, q, k, k}, integers, pairs * 10 * m.headDim);
  if (!seesFewKeys(s))
    return;
  AttentionSpec byRows = withRowTiles(s);
  std::string tiles = " w" + std::to_string(s.window) + " q" + std::to_string(byRows.queryTile);
  bench(("attn_row_grad" + tiles).c_str(), buildAttentionRowGrad, symbol(byRows, "row_grad"), byRows,
        {q, k, k, q, rows, tokens, q, k, k}, {false, false, false, false, false, true}, pairs * 10 * m.headDim);
}

void benchFused(const MixerShape &m, int64_t chunk, int64_t saveEvery, bool twoPass) {
  RAttentionSpec s;
  s.linear = rlaSpec(m, chunk, saveEvery);
  s.linear.twoPass = twoPass;
  s.window = attentionSpec(m, m.window);
  s.eps = 1e-6;
  s = withDefaultTiles(s);
  int64_t state = m.batch * m.kvHeads * 2 * m.headDim * m.headDim, states = s.linear.savedStates() * state;
  int64_t q = m.queries(), k = m.keys(), scale = m.heads * m.headDim;
  std::vector<int64_t> sizes = {q, k, q, k, k, scale, scale, m.batch * m.tokens, q, q, m.rows(), q};
  sizes.insert(twoPass ? sizes.begin() + 8 : sizes.end(), states);
  double flops = visiblePairs(m, m.window) * 4 * m.headDim + RlaFlops(s.linear).forward();
  std::string name = "fused_fwd c" + std::to_string(chunk) + " m" + std::to_string(saveEvery) + " q" +
                     std::to_string(s.window.queryTile) + (twoPass ? " two-pass" : "");
  bench(name.c_str(), buildRAttention, symbol(s), s, sizes, {false, false, false, false, false, false, false, true},
        flops);
  HeadNormsSpec norms{m.batch, m.tokens, m.heads, m.headDim, 1e-6};
  bench("head_norms_bwd", buildHeadNormsGrad, symbol(norms), norms,
        {q, q, scale, scale, q, q, q, norms.partials() * scale, norms.partials() * scale, m.rows()}, {}, 30.0 * q);
}

void benchMixers(const MixerShape &m) {
  std::printf("%s: batch %ld, %ld tokens, %ld heads / %ld, dim %ld, window %ld\n", m.name, m.batch, m.tokens, m.heads,
              m.kvHeads, m.headDim, m.window);
  for (auto [chunk, saveEvery] : {std::pair(64, 1), {64, 4}, {128, 1}})
    for (bool twoPass : {false, true})
      benchRla(m, chunk, saveEvery, twoPass);
  for (int64_t window : {m.window, int64_t(-1)}) {
    AttentionSpec s = withDefaultTiles(attentionSpec(m, window)), grad = withGradientTiles(s);
    benchAttention(m, s);
    if (grad.queryTile != s.queryTile || grad.keyTile != s.keyTile)
      benchAttention(m, grad);
    for (auto [queryTile, keyTile] :
         {std::pair(32, 32), {32, 64}, {64, 32}, {64, 64}, {64, 128}, {128, 64}, {128, 128}})
      if (allTiles && (queryTile != s.queryTile || keyTile != s.keyTile)) {
        AttentionSpec other = s;
        other.queryTile = queryTile, other.keyTile = keyTile;
        benchAttention(m, other);
      }
  }
  for (bool twoPass : {false, true})
    benchFused(m, 64, 4, twoPass);
}

void benchPointwise(int64_t tokens, int64_t dim) {
  int64_t width = 4 * dim, size = tokens * width, wide = 3 * size, vocab = 4096;
  RmsNormSpec norm{tokens, 1, width, 1e-6, false};
  int64_t partials = partialCount(tokens) * width;
  bench("rms_norm_fwd", buildRmsNorm, symbol(norm, false), norm, {size, width, size}, {}, 4.0 * size);
  bench("rms_norm_bwd", buildRmsNormGrad, symbol(norm, true), norm, {size, width, size, size, partials}, {},
        10.0 * size);
  RopeSpec rope{1, tokens, 4, dim, dim, false, true, false};
  bench("rope", buildRope, symbol(rope), rope, {size, tokens * dim / 2, tokens * dim / 2, tokens, size},
        {false, false, false, true}, 3.0 * size);
  GateSpec gate{wide, GateActivation::Silu};
  bench("gate_fwd", buildGate, symbol(gate, false), gate, {wide, wide, wide}, {}, 10.0 * wide);
  bench("gate_bwd", buildGateGrad, symbol(gate, true), gate, {wide, wide, wide, wide, wide}, {}, 20.0 * wide);
  AddSpec add{size, 2};
  bench("add", buildAdd, symbol(add), add, {size, size, size}, {}, double(size));
  CrossEntropySpec loss{tokens / 4, vocab, 0.0, true};
  bench("cross_entropy", buildCrossEntropy, symbol(loss), loss, {tokens / 4, 1, tokens / 4 * vocab, tokens / 4}, {true},
        20.0 * tokens / 4 * vocab);
  EmbedSpec embed{tokens, vocab, width, 1.0, false};
  bench("embed_bwd", buildEmbedGrad, symbol(embed, true), embed, {size, tokens, vocab * width}, {false, true},
        1.0 * size);
  FlatSpec flat{4096 * 1024};
  bench("adamw", buildAdamW, adamWSymbol(flat), flat,
        {flat.elements, 1, 8, flat.elements / 256, flat.elements, flat.elements, flat.elements}, {},
        15.0 * flat.elements);
  bench("sum_squares", buildSumSquares, sumSquaresSymbol(flat), flat, {flat.elements, flat.elements / 4096}, {},
        2.0 * flat.elements);
  bench("accumulate", buildAccumulate, accumulateSymbol(flat), flat, {flat.elements, flat.elements}, {},
        1.0 * flat.elements);
}

} // namespace

int main(int argc, char **argv) {
  std::string what = argc > 1 ? argv[1] : "";
  repeats = argc > 2 ? std::atoi(argv[2]) : 5;
  allTiles = argc > 3 && std::string(argv[3]) == "tiles";
  for (const MixerShape &shape : shapes)
    if (what == shape.name)
      return benchMixers(shape), 0;
  if (what == "pointwise")
    return benchPointwise(2048, 64), 0;
  std::fprintf(stderr, "usage: oriel-bench-kernels op|nano|small|pointwise [repeats] [tiles]\n");
  return 2;
}
