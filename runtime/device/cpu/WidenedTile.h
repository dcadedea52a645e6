// One tile of a bf16 product for CPUs on which oneDNN multiplies f32 only (no AVX-512): operands are copied to f32,
// multiplied, and the result is rounded where it is bf16. Right, not fast.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_WIDENEDTILE_H
#define ORIEL_RUNTIME_DEVICE_CPU_WIDENEDTILE_H

#include "runtime/device/Device.h"

#include <cstdint>

namespace oriel::runtime {

/// The f32 copies of one tile's operands, dense, one after the other in a scratch block: a, b, then c if it is bf16.
class WidenedTile {
public:
  /// `tile` is the product of one tile of a bf16 product.
  explicit WidenedTile(const GemmSpec &tile);

  /// The product of the copies; c stays where it is if it is f32 already.
  GemmSpec spec() const { return spec_; }
  size_t bytes() const { return bytesOfA_ + bytesOfB_ + bytesOfC_; }

  struct Operands {
    const float *a, *b;
    float *c;
  };
  Operands fill(const void *a, const void *b, void *c, void *scratch) const;
  void finish(const Operands &operands, void *c) const;

private:
  GemmSpec tile_, spec_;
  size_t bytesOfA_, bytesOfB_, bytesOfC_; // multiples of 64
};

} // namespace oriel::runtime

#endif
