// Making of kernel symbols; names of targets.
#include "kernels/common/KernelSpec.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"
#include <bit>
#include <cstdlib>

namespace oriel::kernels {

std::optional<TileTarget> tileTargetNamed(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<TileTarget>>(name)
      .Case("cpu", TileTarget::Cpu)
      .Case("nvidia", TileTarget::Nvidia)
      .Case("nvidia-large", TileTarget::NvidiaLarge)
      .Case("nvidia-bf16", TileTarget::NvidiaBf16)
      .Case("nvidia-warpgroup", TileTarget::NvidiaWarpgroup)
      .Default(std::nullopt);
}

SymbolName &SymbolName::add(llvm::StringRef letter, int64_t value) {
  text_ += (llvm::Twine("_") + letter + (value < 0 ? "n" : "") + llvm::Twine(std::abs(value))).str();
  return *this;
}

SymbolName &SymbolName::add(llvm::StringRef letter, double value) {
  text_ += (llvm::Twine("_") + letter + llvm::utohexstr(std::bit_cast<uint64_t>(value), /*LowerCase=*/true)).str();
  return *this;
}

SymbolName &SymbolName::flag(llvm::StringRef word, bool present) {
  if (present)
    text_ += (llvm::Twine("_") + word).str();
  return *this;
}

} // namespace oriel::kernels
