// wgmma of an emulated block: asynchronous products of warpgroups.
//
// A product is in flight from its issue to the wait for its group. Until then its accumulators hold NaNs that say which
// product and which accumulator they stand for; the wait puts the sums in their place, wherever the program has moved
// them. A program that reads them early computes with NaNs. Operands are read when the product is issued and again when
// it lands: shared memory that changed in between is a fault, since the hardware may read it at any time. Kernels
// compiled with checks also tell the monitor what is read, and when (BlockMonitor.h).
//
// The four warps of a warpgroup are emulated each by itself: a warp multiplies its 16 of the 64 rows.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARPGROUPPRODUCTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARPGROUPPRODUCTS_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

extern "C" {
/// wgmma.mma_async m64n{columns}k16 with bf16 operands. d[columns / 2]: accumulators in, NaNs out. `a`: four registers
/// of two bf16 each, or null and `descriptorA` instead. `flags`: bit 0, the accumulators are added to; bit 1, `a` lies
/// in shared memory by K; bit 2, so does b.
void orielEmulatedWarpgroupMultiply(float *d, const uint32_t *a, uint64_t descriptorA, uint64_t descriptorB,
                                    int32_t columns, int32_t flags);
void orielEmulatedWarpgroupFence();  // wgmma.fence
void orielEmulatedWarpgroupCommit(); // wgmma.commit_group
/// wgmma.wait_group: products of all but the `inFlight` newest groups land in those of the `count` registers that stand
/// for them.
void orielEmulatedWarpgroupWait(float *registers, int32_t count, int32_t inFlight);
/// fence.proxy.async.shared::cta. Here all accesses go to one memory: only the monitor wants to know.
void orielEmulatedFenceAsyncProxy();
/// What checked kernels call before an instruction that reads a register which wgmma has given: number `site` of the
/// kernel's table (AccessSites.h).
void orielEmulatedAnnounceAccumulator(float value, int32_t site);
}

namespace oriel::runtime::emulated {

struct WarpgroupProduct;

/// The products in flight of one block, by warp.
class WarpgroupProducts {
public:
  struct Warp {
    std::vector<std::shared_ptr<WarpgroupProduct>> inFlight; // oldest first
    uint32_t issued = 0;                                     // products
    int64_t committed = 0;                                   // groups
    bool isFenced = false;                                   // since the last commit
  };

  /// For a new block of `warps` warps.
  void reset(size_t warps) { warps_.assign(warps, Warp()); }
  Warp &warp(size_t index) { return warps_[index]; }
  /// What is wrong when all threads have ended; empty when nothing is.
  std::string fault() const;

private:
  std::vector<Warp> warps_;
};

} // namespace oriel::runtime::emulated

#endif
