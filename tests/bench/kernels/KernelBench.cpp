// Times kernels on one thread at the shapes of a small language model and prints time, arithmetic rate and, for
// memory-bound kernels, bandwidth. Usage: oriel-bench-kernels [tokens] [head_dim] [window] [repeats]
#include "kernels/attention/Attention.h"
#include "kernels/elementwise/Elementwise.h"
#include "kernels/embed/Embed.h"
#include "kernels/gate/Gate.h"
#include "kernels/loss/CrossEntropy.h"
#include "kernels/norm/RmsNorm.h"
#include "kernels/optim/Optim.h"
#include "kernels/rattention/Rla.h"
#include "kernels/rope/Rope.h"
#include "tests/support/kernels/KernelRunner.h"
#include <cstdio>
#include <cstdlib>

using namespace oriel::kernels;
using namespace oriel::testing;

namespace {

int repeats = 5;

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

void benchRla(int64_t tokens, int64_t dim, int64_t window) {
  for (int64_t chunk : {32, 64, 128})
    for (int64_t saveEvery : {1, 4}) {
      RlaSpec s;
      s.batch = 1, s.tokens = tokens, s.heads = 4, s.kvHeads = 2, s.headDim = s.valueDim = dim, s.window = window;
      s.documents = true, s.chunk = chunk, s.saveEvery = saveEvery;
      int64_t q = tokens * 4 * dim, k = tokens * 2 * dim, state = 2 * dim * dim;
      double t = double(tokens);
      // Per token: pairs (2D + E wide, half visible is not counted as saved), state read, state update.
      double forward = t * 4 * (2.0 * chunk * (2 * dim + dim) + 2.0 * 2 * dim * dim) + t * 2 * 2.0 * 2 * dim * dim;
      double backward =
          t * 4 * (2.0 * chunk * (2 * dim * 3 + dim * 2) + 2.0 * 2 * dim * dim * 2) + t * 2 * 2.0 * 2 * dim * dim * 3;
      char name[64];
      std::snprintf(name, sizeof name, "rla_fwd c%ld m%ld", chunk, saveEvery);
      bench(name, buildRla, symbol(s, false), s, {q, k, k, tokens, q, 2 * s.savedStates() * state},
            {false, false, false, true}, forward);
      std::snprintf(name, sizeof name, "rla_bwd c%ld m%ld", chunk, saveEvery);
      bench(name, buildRlaGrad, symbol(s, true), s,
            {q, k, k, q, tokens, 2 * s.savedStates() * state, q, k, k, 2 * s.segmentChunks() * state},
            {false, false, false, false, true}, backward);
    }
}

void benchAttention(int64_t tokens, int64_t dim, int64_t window, int64_t queryTile, int64_t keyTile) {
  AttentionSpec s;
  s.batch = 1, s.tokens = tokens, s.heads = 4, s.kvHeads = 2, s.headDim = s.valueDim = dim, s.window = window;
  s.documents = true, s.scale = 0.125, s.queryTile = queryTile, s.keyTile = keyTile;
  int64_t q = tokens * 4 * dim, k = tokens * 2 * dim, rows = 4 * tokens;
  double keys = window < 0 ? tokens / 2.0 : window + 1.0;
  double pairs = double(tokens) * 4 * keys;
  std::string where = (window < 0 ? " full" : " w" + std::to_string(window)) + " q" + std::to_string(queryTile) + " k" +
                      std::to_string(keyTile);
  bench(("attn_fwd" + where).c_str(), buildAttention, symbol(s, "fwd"), s, {q, k, k, tokens, q, rows},
        {false, false, false, true}, pairs * 4 * dim);
  std::vector<bool> integers = {false, false, false, false, false, false, true};
  bench(("attn_dq" + where).c_str(), buildAttentionDq, symbol(s, "dq"), s, {q, k, k, q, rows, rows, tokens, q},
        integers, pairs * 6 * dim);
  bench(("attn_dkdv" + where).c_str(), buildAttentionDkDv, symbol(s, "dkdv"), s, {q, k, k, q, rows, rows, tokens, k, k},
        integers, pairs * 8 * dim);
  bench(("attn_grad" + where).c_str(), buildAttentionGrad, symbol(s, "grad"), s,
        {q, k, k, q, rows, rows, tokens, q, k, k}, integers, pairs * 10 * dim);
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
  auto option = [&](int i, int64_t otherwise) { return argc > i ? std::atoll(argv[i]) : otherwise; };
  int64_t tokens = option(1, 2048), dim = option(2, 64), window = option(3, 128);
  repeats = static_cast<int>(option(4, 5));
  benchRla(tokens, dim, window);
  for (auto [queryTile, keyTile] : {std::pair(64, 64), {32, 64}, {32, 32}}) {
    benchAttention(tokens, dim, window, queryTile, keyTile);
    benchAttention(tokens, dim, -1, queryTile, keyTile);
  }
  benchPointwise(tokens, dim);
  return 0;
}
