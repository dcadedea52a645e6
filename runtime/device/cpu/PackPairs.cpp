#include "runtime/device/cpu/PackPairs.h"

#include <algorithm>

namespace oriel::runtime {

namespace {

constexpr int64_t lanes = 16;

/// The first `count` of 32 elements.
__mmask32 firstOf(int64_t count) { return count >= 32 ? ~__mmask32(0) : count <= 0 ? 0 : (__mmask32(1) << count) - 1; }

struct Pairs {
  __m512i low, high;
};

/// Element i of both rows becomes word i.
ORIEL_PAIRS_TARGET inline Pairs interleave(__m512i even, __m512i odd) {
  // A permutation's index: 0 to 31 are elements of the even row, 32 to 63 those of the odd one.
  const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  return {_mm512_permutex2var_epi16(even, first, odd),
          _mm512_permutex2var_epi16(even, _mm512_add_epi16(first, _mm512_set1_epi16(lanes)), odd)};
}

struct Square { // 16 x 16 words
  __m512i rows[lanes];
};

/// In four rounds: words of neighbouring rows, pairs of words, then 128-bit parts twice.
ORIEL_PAIRS_TARGET inline Square transpose(const Square &square) {
  const __m512i *rows = square.rows;
  __m512i quads[lanes];
  Square result;
#pragma GCC unroll 4
  for (int64_t i = 0; i < lanes; i += 4) {
    __m512i low01 = _mm512_unpacklo_epi32(rows[i], rows[i + 1]), high01 = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    __m512i low23 = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]);
    __m512i high23 = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    quads[i] = _mm512_unpacklo_epi64(low01, low23);
    quads[i + 1] = _mm512_unpackhi_epi64(low01, low23);
    quads[i + 2] = _mm512_unpacklo_epi64(high01, high23);
    quads[i + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
  constexpr int evenParts = 0x88, oddParts = 0xdd;
#pragma GCC unroll 4
  for (int64_t j = 0; j < 4; ++j) { // part p of quads[4i + j]: column 4p + j of rows 4i to 4i + 3
    __m512i even = _mm512_shuffle_i32x4(quads[j], quads[4 + j], evenParts);
    __m512i odd = _mm512_shuffle_i32x4(quads[j], quads[4 + j], oddParts);
    __m512i evenBelow = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], evenParts);
    __m512i oddBelow = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], oddParts);
    result.rows[j] = _mm512_shuffle_i32x4(even, evenBelow, evenParts);
    result.rows[4 + j] = _mm512_shuffle_i32x4(odd, oddBelow, evenParts);
    result.rows[8 + j] = _mm512_shuffle_i32x4(even, evenBelow, oddParts);
    result.rows[12 + j] = _mm512_shuffle_i32x4(odd, oddBelow, oddParts);
  }
  return result;
}

/// [k, outer]: rows 2j and 2j + 1 become row j of words. Some rows at a time, so that panels are written in longer
/// runs.
ORIEL_PAIRS_TARGET void packRows(const PairsOperand &from, uint32_t *panels) {
  constexpr int64_t run = 8;
  int64_t panelSize = wordsOf(from.k) * panelColumns;
  for (int64_t start = 0; start < from.k; start += run)
    for (int64_t column = 0; column < from.outer; column += panelColumns) {
      __mmask32 inside = firstOf(from.outer - column);
      uint32_t *to = panels + column / panelColumns * panelSize + start / 2 * panelColumns;
      for (int64_t row = start; row < std::min(start + run, from.k); row += 2, to += panelColumns) {
        const uint16_t *at = from.at + row * from.leading + column;
        __m512i odd = row + 1 < from.k ? _mm512_maskz_loadu_epi16(inside, at + from.leading) : _mm512_setzero_si512();
        Pairs pairs = interleave(_mm512_maskz_loadu_epi16(inside, at), odd);
        _mm512_store_si512(to, pairs.low);
        _mm512_store_si512(to + lanes, pairs.high);
      }
    }
}

/// [outer, k]: the words are transposed.
ORIEL_PAIRS_TARGET void packTurned(const PairsOperand &from, uint32_t *panels) {
  int64_t words = wordsOf(from.k);
  for (int64_t panel = 0; panel < from.outer; panel += panelColumns, panels += words * panelColumns)
    for (int64_t word = 0; word < words; word += lanes)
      for (int64_t half = 0; half < panelColumns; half += lanes) {
        __mmask32 inside = firstOf(from.k - 2 * word);
        Square square;
#pragma GCC unroll 16
        for (int64_t lane = 0; lane < lanes; ++lane) {
          int64_t row = panel + half + lane;
          const uint16_t *at = from.at + row * from.leading + 2 * word;
          square.rows[lane] = _mm512_maskz_loadu_epi16(row < from.outer ? inside : 0, at);
        }
        Square turned = transpose(square);
        uint32_t *to = panels + word * panelColumns + half;
        for (int64_t row = 0; row < std::min(lanes, words - word); ++row)
          _mm512_store_si512(to + row * panelColumns, turned.rows[row]);
      }
}

} // namespace

PairsOperand PairsOperand::block(int64_t fromOuter, int64_t fromK, int64_t wantedOuter, int64_t wantedK) const {
  PairsOperand part = *this;
  part.at += kAlongColumns ? fromK * leading + fromOuter : fromOuter * leading + fromK;
  part.outer = std::clamp<int64_t>(outer - fromOuter, 0, wantedOuter);
  part.k = std::clamp<int64_t>(k - fromK, 0, wantedK);
  return part;
}

void PairsOperand::pack(uint32_t *panels) const { kAlongColumns ? packRows(*this, panels) : packTurned(*this, panels); }

} // namespace oriel::runtime
