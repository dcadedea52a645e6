// Matrix products of fixed shape.
//
// oneDNN on several threads splits K when M·N is small, and then the number of threads changes bits. So the work is
// divided here: the product is cut into tiles, and a long K into ranges, by a rule that looks at the shape alone
// (TileGrid); each piece is one product that one thread runs, and threads take pieces as they come. The
// ranges of K are added in order. Bits cannot depend on who computes a piece.
//
// A product is prepared once per shape; running it sets addresses and allocates no memory of ours (oneDNN makes a few
// small map nodes per execution, and packs transposed operands into a small block of its own). The scratch pads are
// ours, one per thread, as large as the largest product wants.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H

#include "runtime/device/Device.h"
#include "runtime/device/cpu/TileGrid.h"
#include "runtime/device/cpu/TileProduct.h"
#include "runtime/device/cpu/WorkerPool.h"

#include "absl/container/flat_hash_map.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace oriel::runtime {

class CpuGemm final : public PreparedGemm {
public:
  GemmSpec spec;
  TileGrid grid;
  std::vector<TileProduct> products; // the distinct ones
  size_t scratchBytes = 0;           // per thread

  /// Which product makes piece (row, column, split).
  const TileProduct &productOf(int64_t row, int64_t column, int64_t split) const {
    return products[whichProduct[kindOf(row, column, split)]];
  }
  /// Pieces differ where they are the last of a direction; the first range of K also writes the result itself.
  static constexpr size_t kinds = 16;
  size_t kindOf(int64_t row, int64_t column, int64_t split) const {
    return (row == grid.rows - 1 ? 8u : 0u) + (column == grid.columns - 1 ? 4u : 0u) +
           (split == grid.splits - 1 ? 2u : 0u) + (split == 0 ? 1u : 0u);
  }
  std::array<size_t, kinds> whichProduct = {};
  /// Elements of the sums over the ranges of K but the first, one m x n matrix each.
  int64_t partialElements() const { return (grid.splits - 1) * spec.m * spec.n; }
};

/// Engine, streams, scratch and cache of prepared products of one device.
class CpuGemmLibrary {
public:
  explicit CpuGemmLibrary(WorkerPool &pool);
  absl::StatusOr<std::shared_ptr<CpuGemm>> prepare(const GemmSpec &spec);
  absl::Status run(const CpuGemm &gemm, const void *a, const void *b, void *c);

private:
  absl::StatusOr<std::shared_ptr<CpuGemm>> create(const GemmSpec &spec);
  absl::Status reserve(const CpuGemm &gemm);
  bool runPiece(const CpuGemm &gemm, int64_t piece, int thread, const void *a, const void *b, void *c);
  void addPartials(const CpuGemm &gemm, float *c);

  WorkerPool &pool_;
  dnnl::engine engine_;
  std::vector<dnnl::stream> streams_; // of each thread
  absl::flat_hash_map<std::string, std::shared_ptr<CpuGemm>> cache_;
  std::unique_ptr<DeviceMemory> scratch_;
  size_t scratchBytesPerThread_ = 0;
  std::vector<PairedTile::Scratch> scratchOf_; // of each thread, in the product that runs
  std::unique_ptr<DeviceMemory> partials_;     // of the product that runs
};

} // namespace oriel::runtime

#endif
