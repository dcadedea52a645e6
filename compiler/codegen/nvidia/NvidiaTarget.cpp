// The GPUs that code is made for.
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "llvm/Support/FormatVariadic.h"

namespace oriel::codegen::nvidia {

llvm::ArrayRef<NvidiaTarget> NvidiaTarget::all() {
  static const NvidiaTarget targets[] = {sm80(), sm90a(), sm100a()};
  return targets;
}

std::optional<NvidiaTarget> NvidiaTarget::byChip(llvm::StringRef chip) {
  for (const NvidiaTarget &target : all())
    if (target.chip == chip)
      return target;
  return std::nullopt;
}

std::string describe(const NvidiaTarget &target) {
  return llvm::formatv("{0} {1} shared {2} wgmma {3}", target.chip, target.features, target.sharedBytes, target.hasWgmma);
}

} // namespace oriel::codegen::nvidia
