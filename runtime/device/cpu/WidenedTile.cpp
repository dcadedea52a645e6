#include "runtime/device/cpu/WidenedTile.h"

#include <bit>
#include <cmath>

namespace oriel::runtime {

namespace {

size_t alignedBytes(int64_t elements) { return (static_cast<size_t>(elements) * sizeof(float) + 63) / 64 * 64; }

void widen(const void *from, int64_t rows, int64_t columns, int64_t leading, float *to) {
  const auto *values = static_cast<const uint16_t *>(from);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      *to++ = std::bit_cast<float>(static_cast<uint32_t>(values[row * leading + column]) << 16);
}

/// To nearest, ties to even; NaN stays NaN.
uint16_t toBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>(std::isnan(value) ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

} // namespace

WidenedTile::WidenedTile(const GemmSpec &tile) : tile_(tile), spec_(tile) {
  spec_.dtype = spec_.cDType = DType::F32;
  spec_.lda = tile.transposeA ? tile.m : tile.k;
  spec_.ldb = tile.transposeB ? tile.k : tile.n;
  if (tile.cDType == DType::BF16)
    spec_.ldc = tile.n;
  bytesOfA_ = alignedBytes(tile.m * tile.k);
  bytesOfB_ = alignedBytes(tile.k * tile.n);
  bytesOfC_ = tile.cDType == DType::BF16 ? alignedBytes(tile.m * tile.n) : 0;
}

WidenedTile::Operands WidenedTile::fill(const void *a, const void *b, void *c, void *scratch) const {
  auto *place = static_cast<std::byte *>(scratch);
  auto *aWide = reinterpret_cast<float *>(place), *bWide = reinterpret_cast<float *>(place + bytesOfA_);
  auto *cWide = reinterpret_cast<float *>(place + bytesOfA_ + bytesOfB_);
  widen(a, tile_.transposeA ? tile_.k : tile_.m, spec_.lda, tile_.lda, aWide);
  widen(b, tile_.transposeB ? tile_.n : tile_.k, spec_.ldb, tile_.ldb, bWide);
  if (tile_.cDType == DType::F32)
    return {aWide, bWide, static_cast<float *>(c)};
  if (tile_.beta != 0)
    widen(c, tile_.m, tile_.n, tile_.ldc, cWide);
  return {aWide, bWide, cWide};
}

void WidenedTile::finish(const Operands &operands, void *c) const {
  if (tile_.cDType == DType::F32)
    return;
  auto *target = static_cast<uint16_t *>(c);
  for (int64_t row = 0; row < tile_.m; ++row)
    for (int64_t column = 0; column < tile_.n; ++column)
      target[row * tile_.ldc + column] = toBf16(operands.c[row * tile_.n + column]);
}

} // namespace oriel::runtime
