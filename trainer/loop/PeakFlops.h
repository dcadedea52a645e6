// The denominator of MFU: what this machine's vector units can do. Measured once at start by chains of fused
// multiply-adds in registers (about 30 ms); metrics.peak_gflops in the job overrides it.
#pragma once

namespace oriel::trainer {

/// FLOP/s of `threads` threads that run fused multiply-adds of f32 at the widest vectors this CPU has; of products of
/// bf16 pairs with `bf16`, where the CPU has them.
double measurePeakFlops(int threads, bool bf16 = false);

} // namespace oriel::trainer
