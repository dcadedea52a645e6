// The denominator of MFU: what this machine's vector units can do. Measured once at start by chains of fused
// multiply-adds in registers (about 30 ms); metrics.peak_gflops in the job overrides it.
#pragma once

namespace oriel::trainer {

/// f32 FLOP/s of `threads` threads that run fused multiply-adds at the widest vectors this CPU has.
double measurePeakFlops(int threads);

} // namespace oriel::trainer
