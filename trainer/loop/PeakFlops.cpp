#include "trainer/loop/PeakFlops.h"

#include "runtime/base/Clock.h"
#include "runtime/base/CpuFeatures.h"

#include <algorithm>
#include <atomic>
#include <immintrin.h>
#include <thread>
#include <vector>

namespace oriel::trainer {
namespace {

typedef float Vector16 __attribute__((vector_size(64)));
typedef float Vector8 __attribute__((vector_size(32)));

constexpr int kChains = 12; // more than latency x issue width of any current core
constexpr int kRounds = 200'000;

// The chains must stay in registers, and the compiler must not see that they converge.
#define ORIEL_FMA_PROBE(VectorType)                                                                                    \
  VectorType chain[kChains], scale, shift;                                                                             \
  for (int i = 0; i < kChains; ++i)                                                                                    \
    chain[i] = VectorType{} + static_cast<float>(i);                                                                   \
  scale = VectorType{} + 0.999f;                                                                                       \
  shift = VectorType{} + 0.001f;                                                                                       \
  for (int round = 0; round < kRounds; ++round)                                                                        \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * scale + shift;                    \
  float sum = 0;                                                                                                       \
  for (int i = 0; i < kChains; ++i)                                                                                    \
    sum += chain[i][0];                                                                                                \
  return sum

__attribute__((target("avx512f,fma"), noinline)) float probeAvx512() { ORIEL_FMA_PROBE(Vector16); }
__attribute__((target("avx2,fma"), noinline)) float probeAvx2() { ORIEL_FMA_PROBE(Vector8); }
__attribute__((noinline)) float probeBaseline() { ORIEL_FMA_PROBE(Vector8); }

#undef ORIEL_FMA_PROBE

__attribute__((target("avx512f,avx512bf16"), noinline)) float probeBf16() {
  __m512 chain[kChains];
  for (__m512 &sum : chain)
    sum = _mm512_set1_ps(1.0f);
  auto pairs = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f003f00)); // 0.5, 0.5
  for (int round = 0; round < kRounds; ++round)
    _Pragma("GCC unroll 12") for (__m512 &sum : chain) sum = _mm512_dpbf16_ps(sum, pairs, pairs);
  float total = 0;
  for (const __m512 &sum : chain)
    total += sum[0];
  return total;
}

} // namespace

double measurePeakFlops(int threads, bool bf16) {
  const auto &features = runtime::hostCpuFeatures();
  bool avx512 = features.contains("avx512f"), avx2 = features.contains("avx2") && features.contains("fma");
  bool pairs = bf16 && avx512 && features.contains("avx512bf16");
  auto *probe = pairs ? probeBf16 : avx512 ? probeAvx512 : avx2 ? probeAvx2 : probeBaseline;
  double flops = 2.0 * kChains * kRounds * (pairs ? 32 : avx512 ? 16 : 8);
  std::vector<double> best(std::max(threads, 1), 0);
  std::atomic<float> sink{0};
  std::vector<std::thread> workers;
  for (double &rate : best)
    workers.emplace_back([&rate, &sink, probe, flops] {
      for (int attempt = 0; attempt < 5; ++attempt) { // the first one wakes the core
        double start = runtime::monotonicSeconds();
        sink = probe();
        rate = std::max(rate, flops / (runtime::monotonicSeconds() - start));
      }
    });
  double total = 0;
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].join();
    total += best[i];
  }
  return total;
}

} // namespace oriel::trainer
