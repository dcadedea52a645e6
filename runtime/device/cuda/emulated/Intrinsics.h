// What emulated kernels call in place of NVVM intrinsics. Each function acts on the block that runs on this thread of
// the host (BlockScheduler::running). To add one: declare and define it here, name it in intrinsicNamed, and let
// compiler/codegen/nvidia/emulated/EmulatorCalls.cpp emit calls of that name.
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
void orielEmulatedWarpBarrier();         // bar.warp.sync of all lanes

/// What checked kernels call before an instruction that touches memory, or at which threads meet: `bytes` from
/// `address` by instruction number `site` of the kernel's table (AccessSites.h); -bytes for a load whose value is
/// thrown away. Does not return when the access is not allowed.
void orielEmulatedAnnounce(const void *address, int32_t bytes, int32_t site);

/// d = a·b + c for the lanes of a warp, in the fragment layout of mma.m16n8k16 with bf16 operands: a[4], b[2] registers
/// of two bf16 each, c[4], d[4].
void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d);
/// The same for mma.m16n8k8 with tf32 operands: one element in each register, of which 10 bits of the fraction count.
void orielEmulatedMmaTf32(const uint32_t *a, const uint32_t *b, const float *c, float *d);

/// shfl.sync.idx of a whole warp: the value of lane `source`.
uint32_t orielEmulatedShuffle(uint32_t value, int32_t source);
/// shfl.sync.bfly of a whole warp: the value of the lane whose number differs in the bits of `laneMask`.
uint32_t orielEmulatedShuffleXor(uint32_t value, int32_t laneMask);
/// ldmatrix.m8n8.x{count}.b16: `row` of lane l is where row l mod 8 of matrix l / 8 lies, 8 elements of 16 bits; it
/// must be 16-byte aligned and inside shared memory. d[count] gets two elements of each matrix, by its columns when
/// `transposed`.
void orielEmulatedLoadMatrices(uint32_t *d, const void *row, int32_t count, int32_t transposed);

/// cp.async.cg.shared.global of 16 bytes, of which the first `bytes` come from `source` and the others are zero. They
/// land when their group is waited for; until then the place holds NaNs.
void orielEmulatedCopyAsync(void *destination, const void *source, int32_t bytes);
void orielEmulatedCommitCopies(); // cp.async.commit_group
/// cp.async.wait_group: all but the `inFlight` newest groups of this thread have landed.
void orielEmulatedWaitForCopies(int32_t inFlight);

float orielEmulatedExp2(float x);  // ex2.approx
float orielEmulatedLog2(float x);  // lg2.approx
float orielEmulatedRsqrt(float x); // rsqrt.approx
/// cvt.rn.bf16.f32: to nearest, ties to even; NaN stays NaN.
uint16_t orielEmulatedRoundToBf16(float x);
/// cvt.rna.tf32.f32: to nearest, ties away from zero.
uint32_t orielEmulatedRoundToTf32(float x);
}

namespace oriel::runtime::emulated {

/// The address of the function of that name; null when there is none.
void *intrinsicNamed(absl::string_view name);

} // namespace oriel::runtime::emulated

#endif
