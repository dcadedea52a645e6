// What emulated kernels call in place of NVVM intrinsics. Each function acts on the block that runs on this thread of
// the host (BlockScheduler::running). To add one: declare and define it here, name it in intrinsicNamed, and let
// compiler/codegen/nvidia/emulated/Retarget.cpp emit calls of that name.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_INTRINSICS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_INTRINSICS_H

#include "absl/strings/string_view.h"

#include <cstddef>
#include <cstdint>

extern "C" {
int32_t orielEmulatedThread();           // %tid.x
int32_t orielEmulatedBlock(int32_t dim); // %ctaid.x, .y, .z
std::byte *orielEmulatedShared();        // dynamic shared memory
void orielEmulatedBarrier();             // barrier.sync 0, all threads of the block

/// d = a·b + c for the lanes of a warp, in the fragment layout of mma.m16n8k16 with bf16 operands: a[4], b[2] registers
/// of two bf16 each, c[4], d[4].
void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d);

float orielEmulatedExp2(float x);  // ex2.approx
float orielEmulatedLog2(float x);  // lg2.approx
float orielEmulatedRsqrt(float x); // rsqrt.approx
/// cvt.rn.bf16.f32: to nearest, ties to even; NaN stays NaN.
uint16_t orielEmulatedRoundToBf16(float x);
}

namespace oriel::runtime::emulated {

/// The address of the function of that name; null when there is none.
void *intrinsicNamed(absl::string_view name);

} // namespace oriel::runtime::emulated

#endif
