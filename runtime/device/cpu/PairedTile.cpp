#include "runtime/device/cpu/PairedTile.h"

#include "runtime/device/cpu/PackPairs.h"

#include <algorithm>
#include <cstring>

namespace oriel::runtime {

namespace {

constexpr int64_t lanes = 16, sumRows = 8;
constexpr int64_t fewestRows = 64;                       // of c; below, packing b costs too much
constexpr int64_t packedBytesOfB = 512 << 10;            // of a block
constexpr int64_t longestBlock = 2048, shortBlock = 512; // of K: whole, or else so that a is read few times

constexpr int64_t pieces(int64_t size, int64_t piece) { return (size + piece - 1) / piece; }

/// Fetches an operand into caches, a share of its lines at each of so many calls.
class Fetch {
public:
  Fetch() = default;
  Fetch(const PairsOperand &operand, int64_t calls)
      : operand_(operand), share_(pieces(operand.rows() * pieces(operand.columns(), perLine), calls)) {}
  void next() {
    for (int64_t lines = share_; lines > 0 && row_ < operand_.rows(); --lines) {
      _mm_prefetch(reinterpret_cast<const char *>(operand_.at + row_ * operand_.leading + column_), _MM_HINT_T0);
      column_ += perLine;
      if (column_ >= operand_.columns())
        column_ = 0, ++row_;
    }
  }

private:
  static constexpr int64_t perLine = 32;
  PairsOperand operand_;
  int64_t share_ = 0, row_ = 0, column_ = 0;
};

/// Where sums start from or go to; starting from nowhere is starting from zero.
struct Sums {
  void *at = nullptr;
  int64_t leading = 0;
  DType type = DType::F32;

  Sums advanced(int64_t row, int64_t column) const {
    int64_t bytes = (row * leading + column) * static_cast<int64_t>(bytesOf(type));
    return {at ? static_cast<std::byte *>(at) + bytes : nullptr, leading, type};
  }
};

/// 16 sums of a row, `inside` of them; the others are zero.
ORIEL_PAIRS_TARGET inline __m512 loadSums(const Sums &from, int64_t row, int64_t column, __mmask16 inside) {
  if (!from.at)
    return _mm512_setzero_ps();
  int64_t at = row * from.leading + column;
  if (from.type == DType::F32)
    return _mm512_maskz_loadu_ps(inside, static_cast<const float *>(from.at) + at);
  __m256i narrow = _mm256_maskz_loadu_epi16(inside, static_cast<const uint16_t *>(from.at) + at);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

ORIEL_PAIRS_TARGET inline void storeSums(__m512 sums, const Sums &to, int64_t row, int64_t column, __mmask16 inside) {
  int64_t at = row * to.leading + column;
  if (to.type == DType::F32)
    _mm512_mask_storeu_ps(static_cast<float *>(to.at) + at, inside, sums);
  else
    _mm256_mask_storeu_epi16(static_cast<uint16_t *>(to.at) + at, inside,
                             reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sums)));
}

/// Fetches [8, 32] sums.
[[gnu::always_inline]] inline void fetchSums(const Sums &sums) {
  for (int64_t row = 0; row < sumRows; ++row)
    for (int64_t column = 0; column < panelColumns; column += lanes)
      _mm_prefetch(static_cast<const char *>(sums.advanced(row, column).at), _MM_HINT_T0);
}

/// The words of a: word j of row i lies at i * rowBytes + j * wordBytes.
struct WordsOfA {
  const void *at;
  int64_t rowBytes;

  WordsOfA advanced(int64_t bytes) const { return {static_cast<const std::byte *>(at) + bytes, rowBytes}; }
};
constexpr int64_t wordBytes = sizeof(uint32_t);
constexpr int64_t panelRowBytes = panelColumns * wordBytes;

/// [rows, 32] sums: those at `start` plus a [rows, words] · b [words, 32], a panel. `turned` a lies in a panel, too.
template <int64_t rows, bool turned>
ORIEL_PAIRS_TARGET inline void multiply(WordsOfA a, const uint32_t *b, int64_t words, const Sums &start,
                                        const Sums &finish, int64_t columns) {
  constexpr int64_t step = turned ? panelRowBytes : wordBytes;
  auto low = static_cast<__mmask16>(columns >= lanes ? 0xffff : (1 << columns) - 1);
  auto high = static_cast<__mmask16>(columns >= 2 * lanes ? 0xffff
                                     : columns > lanes    ? (1 << (columns - lanes)) - 1
                                                          : 0);
  __m512 sums[rows][2];
#pragma GCC unroll 8
  for (int64_t row = 0; row < rows; ++row) {
    sums[row][0] = loadSums(start, row, 0, low);
    sums[row][1] = loadSums(start, row, lanes, high);
  }
  for (int64_t word = 0; word < words; ++word, a = a.advanced(step), b += panelColumns) {
    auto bLow = reinterpret_cast<__m512bh>(_mm512_load_si512(b));
    auto bHigh = reinterpret_cast<__m512bh>(_mm512_load_si512(b + lanes));
#pragma GCC unroll 8
    for (int64_t row = 0; row < rows; ++row) {
      int32_t value;
      std::memcpy(&value, a.advanced(row * (turned ? wordBytes : a.rowBytes)).at, wordBytes);
      auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(value));
      sums[row][0] = _mm512_dpbf16_ps(sums[row][0], pair, bLow);
      sums[row][1] = _mm512_dpbf16_ps(sums[row][1], pair, bHigh);
    }
  }
#pragma GCC unroll 8
  for (int64_t row = 0; row < rows; ++row) {
    storeSums(sums[row][0], finish, row, 0, low);
    storeSums(sums[row][1], finish, row, lanes, high);
  }
}

constexpr int64_t callsFor(int64_t m, int64_t n) { return pieces(m, sumRows) * pieces(n, panelColumns); }

/// A block of c [m, n] from a [m, words] and packed b. A turned a is packed: 32 of its rows are a panel.
template <bool turned>
ORIEL_PAIRS_TARGET void multiplyBlock(WordsOfA a, const uint32_t *b, int64_t m, int64_t n, int64_t words,
                                      const Sums &start, const Sums &finish, Fetch &nextA, Fetch &nextB) {
  auto rowsAt = [&](int64_t row) {
    return a.advanced(turned ? row / panelColumns * words * panelRowBytes + row % panelColumns * wordBytes
                             : row * a.rowBytes);
  };
  for (int64_t column = 0; column < n; column += panelColumns, b += words * panelColumns)
    for (int64_t row = 0; row < m; row += sumRows) {
      nextA.next();
      nextB.next();
      if (start.at)
        fetchSums(row + sumRows < m ? start.advanced(row + sumRows, column) : start.advanced(0, column + panelColumns));
      int64_t columns = std::min(panelColumns, n - column);
      if (row + sumRows <= m)
        multiply<sumRows, turned>(rowsAt(row), b, words, start.advanced(row, column), finish.advanced(row, column),
                                  columns);
      else
        for (int64_t i = row; i < m; ++i)
          multiply<1, turned>(rowsAt(i), b, words, start.advanced(i, column), finish.advanced(i, column), columns);
    }
}

} // namespace

bool PairedTile::takes(const GemmSpec &tile) {
  return tile.dtype == DType::BF16 && tile.m >= fewestRows && (tile.transposeA || tile.k % 2 == 0);
}

PairedTile::PairedTile(const GemmSpec &tile) : tile_(tile) {
  if (tile.transposeA) { // a packed block of 128 KiB, and a panel of b in half of a first cache
    blockM_ = 256, blockN_ = tile.n, blockK_ = std::min<int64_t>(tile.k, 256);
    return;
  }
  blockM_ = 128, blockK_ = tile.k <= longestBlock ? tile.k : shortBlock;
  int64_t most = mostColumnsPackedWhole(blockK_);
  blockN_ = pieces(pieces(tile.n, pieces(tile.n, most)), panelColumns) * panelColumns;
}

int64_t PairedTile::mostColumnsPackedWhole(int64_t k) {
  if (k > longestBlock)
    return 0;
  return std::max<int64_t>(1, packedBytesOfB / (wordsOf(k) * panelRowBytes)) * panelColumns;
}

int64_t PairedTile::wordsOfA() const { return tile_.transposeA ? packedWords(blockK_, std::min(tile_.m, blockM_)) : 0; }

int64_t PairedTile::wordsOfB() const { return packedWords(blockK_, std::min(tile_.n, blockN_)); }

size_t PairedTile::scratchBytes() const {
  int64_t sums = keepsSumsApart() ? tile_.m * blockN_ : 0;
  return static_cast<size_t>(wordsOfA() + wordsOfB() + sums) * sizeof(uint32_t);
}

bool PairedTile::advance(Block &block) const {
  if ((block.m += blockM_) < tile_.m)
    return true;
  block.m = 0;
  if ((block.k += blockK_) < tile_.k)
    return true;
  block.k = 0;
  return (block.n += blockN_) < tile_.n;
}

void PairedTile::run(const Operands &operands, void *c, const Operands &next, Scratch &scratch) const {
  auto blockOfA = [&](const void *a, const Block &at) {
    PairsOperand whole{static_cast<const uint16_t *>(a), tile_.lda, tile_.m, tile_.k, tile_.transposeA};
    return a ? whole.block(at.m, at.k, blockM_, blockK_) : PairsOperand();
  };
  auto blockOfB = [&](const void *b, const Block &at) {
    PairsOperand whole{static_cast<const uint16_t *>(b), tile_.ldb, tile_.n, tile_.k, !tile_.transposeB};
    return b ? whole.block(at.n, at.k, blockN_, blockK_) : PairsOperand();
  };
  auto *bPanels = static_cast<uint32_t *>(scratch.at), *aPanels = bPanels + wordsOfB();
  Sums apart{aPanels + wordsOfA(), blockN_, DType::F32}, result{c, tile_.ldc, tile_.cDType};

  Fetch nextB;
  bool more = true;
  for (Block at, following; more; at = following) {
    following = at;
    more = advance(following);
    PairsOperand a = blockOfA(operands.a, at), b = blockOfB(operands.b, at);
    if (at.m == 0) {
      if (!scratch.packedB || scratch.packedB != operands.b)
        b.pack(bPanels);
      scratch.packedB = blockN_ >= tile_.n && blockK_ >= tile_.k ? operands.b : nullptr;
      Block other{tile_.m, at.n, at.k};
      PairsOperand soon = advance(other)         ? blockOfB(operands.b, other)
                          : next.b != operands.b ? blockOfB(next.b, {})
                                                 : PairsOperand();
      nextB = Fetch(soon, callsFor(tile_.m, b.outer));
    }
    Fetch nextA(more ? blockOfA(operands.a, following) : blockOfA(next.a, {}), callsFor(a.outer, b.outer));

    Sums place = result.advanced(at.m, at.n), between = keepsSumsApart() ? apart.advanced(at.m, 0) : place;
    Sums start = at.k > 0 ? between : tile_.beta != 0 ? place : Sums{};
    Sums finish = at.k + blockK_ < tile_.k ? between : place;
    if (tile_.transposeA) {
      a.pack(aPanels);
      multiplyBlock<true>({aPanels, 0}, bPanels, a.outer, b.outer, wordsOf(a.k), start, finish, nextA, nextB);
    } else {
      multiplyBlock<false>({a.at, a.leading * 2}, bPanels, a.outer, b.outer, wordsOf(a.k), start, finish, nextA, nextB);
    }
  }
}

} // namespace oriel::runtime
