// Elementary functions on f32 vectors, written out in arithmetic so that generated code calls no library.
// Relative error below 2e-7 over the whole range (tests/unit/compiler/codegen/VectorMathTest.cpp measures it);
// infinities and NaN behave as in <cmath>; results below the least normal number may lose digits as usual.
#ifndef ORIEL_COMPILER_CODEGEN_CPU_VECTORMATH_H
#define ORIEL_COMPILER_CODEGEN_CPU_VECTORMATH_H

#include "compiler/codegen/cpu/VectorBuilder.h"

namespace oriel::codegen {

/// The vector form of a math op on f32 (exp, log, tanh, sqrt, rsqrt, erf, absf), or null if there is none.
mlir::Value emitMath(VectorBuilder &v, llvm::StringRef opName, mlir::Value x);

} // namespace oriel::codegen

#endif
