// Operands of products of bf16 as VDPBF16PS wants them: pairs of neighbours along K in one 32-bit word.
//
// A packed operand is a row of panels 32 columns wide, each [words][32], where words = K / 2 rounded up; what lies
// beyond the operand's edges is zero. Everything here needs AVX512_BF16.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_PACKPAIRS_H
#define ORIEL_RUNTIME_DEVICE_CPU_PACKPAIRS_H

#include <cstdint>

// GCC 12 takes the undefined values of its own AVX-512 header for uninitialized ones.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#define ORIEL_PAIRS_TARGET [[gnu::target("avx512f,avx512bw,avx512vl,avx512bf16")]]

namespace oriel::runtime {

constexpr int64_t panelColumns = 32;

constexpr int64_t wordsOf(int64_t k) { return (k + 1) / 2; }
/// Words of a packed [k, columns].
constexpr int64_t packedWords(int64_t k, int64_t columns) {
  return wordsOf(k) * ((columns + panelColumns - 1) / panelColumns * panelColumns);
}

/// A part of an operand: a row-major matrix of bf16, K along its rows or along its columns.
struct PairsOperand {
  const uint16_t *at = nullptr;
  int64_t leading = 0; // elements between rows
  int64_t outer = 0, k = 0;
  bool kAlongColumns = false; // [k, outer]; else [outer, k], whose pairs lie side by side

  int64_t rows() const { return kAlongColumns ? k : outer; }
  int64_t columns() const { return kAlongColumns ? outer : k; }
  /// What lies from there on, no more than wanted; empty beyond the edges.
  PairsOperand block(int64_t fromOuter, int64_t fromK, int64_t wantedOuter, int64_t wantedK) const;
  void pack(uint32_t *panels) const;
};

} // namespace oriel::runtime

#endif
