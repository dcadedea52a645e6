// What every kernel header shares: the forward declaration of tile.kernel and the making of symbols.
//
// A kernel is a struct `XSpec` of static sizes and options and one or more functions
//     tile::KernelOp buildX(OpBuilder &, Location, StringRef symbol, const XSpec &)
// that insert the tile program at the builder's insertion point (a module's body). The header that declares them gives
// the order of the buffers, inputs then outputs, with their shapes. Shapes are views: a [B,T,M] tensor may be passed
// where [rows, M] with rows = B·T is written. An output marked "in place" is read before it is written.
#ifndef ORIEL_KERNELS_COMMON_KERNELSPEC_H
#define ORIEL_KERNELS_COMMON_KERNELSPEC_H

#include "mlir/IR/Builders.h"
#include <cstdint>
#include <optional>
#include <string>

namespace oriel::tile {
class KernelOp;
}

namespace oriel::kernels {

/// What tiles are sized for: the caches of a CPU core, or the registers and the shared memory of one block of a GPU. Of
/// the latter, Nvidia is for products of f32, and NvidiaLarge for those on GPUs whose blocks have 227 KiB of shared memory
/// and not 163; NvidiaBf16 is for products of bf16, and NvidiaWarpgroup for those on GPUs with wgmma, which multiply 64
/// rows at a time.
enum class TileTarget { Cpu, Nvidia, NvidiaLarge, NvidiaBf16, NvidiaWarpgroup };

constexpr bool isGpu(TileTarget target) { return target != TileTarget::Cpu; }
constexpr bool isGpuOfBf16(TileTarget target) {
  return target == TileTarget::NvidiaBf16 || target == TileTarget::NvidiaWarpgroup;
}
/// "cpu", "nvidia", "nvidia-large", "nvidia-bf16" or "nvidia-warpgroup"; nothing for any other name.
std::optional<TileTarget> tileTargetNamed(llvm::StringRef name);

/// Makes a C identifier from a stem and one number per letter: `SymbolName("rla_fwd").add("d", 64).str()` is
/// "rla_fwd_d64".
class SymbolName {
public:
  explicit SymbolName(llvm::StringRef stem) : text_(stem.str()) {}
  SymbolName &add(llvm::StringRef letter, int64_t value);
  /// Adds the bit pattern of a real-valued option, so that two specs with different values never share a name.
  SymbolName &add(llvm::StringRef letter, double value);
  SymbolName &flag(llvm::StringRef word, bool present);
  std::string str() const { return text_; }

private:
  std::string text_;
};

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// Size of the tile dimension that holds n elements: the next multiple of 16.
constexpr int64_t tileSize(int64_t n) { return ceilDiv(n, 16) * 16; }

} // namespace oriel::kernels

#endif
