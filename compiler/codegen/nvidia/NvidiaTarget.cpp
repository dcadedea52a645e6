// The GPUs that code is made for.
#include "compiler/codegen/nvidia/NvidiaCodegen.h"

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

} // namespace oriel::codegen::nvidia
