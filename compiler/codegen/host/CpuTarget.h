// The CPU that code is generated for: a name to tune for and the exact instruction-set extensions it may use.
#ifndef ORIEL_COMPILER_CODEGEN_HOST_CPUTARGET_H
#define ORIEL_COMPILER_CODEGEN_HOST_CPUTARGET_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::codegen {

/// `features` are the names that both LLVM and GCC's __builtin_cpu_supports know ("avx2", "fma", "avx512f" …);
/// generated code needs every one of them and nothing else beyond x86-64. The plan carries them for the runtime to
/// check.
struct CpuTarget {
  std::string cpu; // tuned for, e.g. "znver4"
  std::vector<std::string> features;

  /// This machine: AVX-512, AVX2 or plain x86-64, whichever is the widest it has.
  static CpuTarget host();
  /// AVX2 with FMA, tuned for Haswell.
  static CpuTarget avx2();
  /// x86-64 without extensions.
  static CpuTarget baseline();

  bool has(std::string_view feature) const;
  /// 32-bit elements of one vector register: 16, 8 or 4.
  int64_t lanes() const;
};

} // namespace oriel::codegen

#endif
