// One tile of a product of bf16, op(a)·op(b) with sums in f32, on CPUs that multiply pairs of bf16 (AVX512_BF16).
//
// VDPBF16PS adds two products to each of 16 lanes. 8 x 32 sums stay in registers while K runs; a word of a, a pair of
// neighbours along K, meets 32 words of b. An a that is not turned holds its words side by side and is read where it
// lies; a turned one and b are packed (PackPairs.h). A block of b stays in the second cache while a block of a's rows
// runs past it, and the rows of a that come next are fetched meanwhile. oneDNN reaches 76 to 92 % of the unit's peak
// in a step, this 87 to 96 % (tests/bench/NOTES.md).
#ifndef ORIEL_RUNTIME_DEVICE_CPU_PAIREDTILE_H
#define ORIEL_RUNTIME_DEVICE_CPU_PAIREDTILE_H

#include "runtime/device/Device.h"

#include <cstddef>
#include <cstdint>

namespace oriel::runtime {

class PairedTile {
public:
  /// True for products of bf16 that gain: those with rows enough to pay for packing b, and whose pairs do not cross
  /// rows. Whether the CPU has AVX512_BF16 is the caller's to ask.
  static bool takes(const GemmSpec &tile);
  explicit PairedTile(const GemmSpec &tile);
  /// How many columns of b fit scratch at once where a is not turned; 0 if K is too long for that.
  static int64_t mostColumnsPackedWhole(int64_t k);

  struct Operands {
    const void *a = nullptr, *b = nullptr;
  };
  /// A thread's own.
  struct Scratch {
    void *at = nullptr;            // scratchBytes(), at a multiple of 64 bytes
    const void *packedB = nullptr; // the b that lies there packed, whole, from a tile of the same n and k; or null
  };
  /// Of `next`, the operands of the product that will run after this one (null if unknown), only caches take notice.
  /// Thread safe; the order of sums depends on the tile's shape alone.
  void run(const Operands &operands, void *c, const Operands &next, Scratch &scratch) const;
  size_t scratchBytes() const;

private:
  struct Block {
    int64_t m = 0, n = 0, k = 0; // where it starts
  };
  /// On to the next block: along m, then k, then n. False behind the last.
  bool advance(Block &block) const;
  /// Sums over several blocks of K stay in f32: in c, or, where c is bf16, apart.
  bool keepsSumsApart() const { return tile_.cDType == DType::BF16 && tile_.k > blockK_; }
  /// Of a packed block; 0 for an a that is read where it lies.
  int64_t wordsOfA() const;
  int64_t wordsOfB() const;

  GemmSpec tile_;
  int64_t blockM_, blockN_, blockK_;
};

} // namespace oriel::runtime

#endif
