// The text of wgmma, which LLVM has no intrinsic for: inline PTX that the lowering writes and that the emulator reads
// back.
//
// Accumulators are results of the assembly, tied to operands where the product adds to them. Until the wait that they
// go through, nothing may touch their registers: whoever wants the values reads the results of the wait.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_WARPGROUPINSTRUCTION_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_WARPGROUPINSTRUCTION_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace oriel::codegen::nvidia {

/// wgmma.mma_async m64n{n}k16: d[64,n] += a[64,16] · b[16,n] for the 128 threads of a warpgroup, bf16 operands, f32
/// accumulators. Operands of the inline assembly: d, if it accumulates; four registers of a, or its descriptor; the
/// descriptor of b.
struct WarpgroupInstruction {
  int64_t n = 8; ///< 8 to 256, a multiple of 8
  bool isFirstInRegisters = false;
  bool accumulates = true;  ///< d = a·b + d; otherwise d = a·b
  bool isFirstByK = false;  ///< a lies in shared memory as [16,64]
  bool isSecondByK = false; ///< b lies in shared memory as [16,n], not as [n,16]

  static constexpr int64_t rows = 64, depth = 16;
  /// Accumulators of one thread.
  int64_t registers() const { return n / 2; }

  std::string text() const;
  std::string constraints() const;
  /// Nothing when the text is no such instruction.
  static std::optional<WarpgroupInstruction> parse(llvm::StringRef text);
  bool operator==(const WarpgroupInstruction &) const = default;
};

/// wgmma.wait_group: all but the newest `inFlight` groups are done; `registers` accumulators go through it.
struct WarpgroupWait {
  int64_t inFlight = 0, registers = 0;

  std::string text() const;
  std::string constraints() const;
  /// Reads `inFlight`; the number of registers is that of the call's operands.
  static std::optional<WarpgroupWait> parse(llvm::StringRef text, int64_t registers);
};

/// How a matrix lies in shared memory, as the instruction wants to know it (PTX ISA, "Matrix descriptor format"). The
/// matrix consists of atoms of 8 rows of `swizzleBytes`; within an atom the 16-byte units of a row are permuted by its
/// number. The address of the first element goes into the low bits.
struct MatrixDescriptor {
  int64_t swizzleBytes = 128; ///< 128, 64 or 32
  int64_t leadingBytes = 16;  ///< stored by K: between atoms side by side; otherwise not used
  int64_t strideBytes = 1024; ///< between atoms one below the other

  static constexpr int64_t addressMask = 0x3ffff; ///< bytes
  /// Everything but the address.
  uint64_t bits() const;
};

/// Bytes of the atoms' rows of a matrix in shared memory whose rows have `rowBytes`, a multiple of 32.
int64_t swizzleFor(int64_t rowBytes);

} // namespace oriel::codegen::nvidia

#endif
