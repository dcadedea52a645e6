// Matrix products of fixed shape by oneDNN, the only place that knows oneDNN, or, in bf16, by PairedTile.
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
#include "runtime/device/cpu/PairedTile.h"
#include "runtime/device/cpu/WidenedTile.h"
#include "runtime/device/cpu/WorkerPool.h"

#include "absl/container/flat_hash_map.h"

#include <array>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <vector>

namespace oriel::runtime {

/// How an m x n x k product is cut: rows x columns tiles of the result, and splits ranges of K. The last of each
/// direction may be smaller.
struct TileGrid {
  int64_t tileM, tileN, tileK;
  int64_t rows, columns, splits;

  /// Halves wide tiles' columns, then rows, then K (of f32 results), then columns again, until there are enough pieces
  /// for many threads or pieces would become inefficiently small. Looks at sizes, types and the CPU's kind only.
  static TileGrid of(const GemmSpec &spec);
  int64_t pieces() const { return rows * columns * splits; }

  struct Place {
    int64_t row, column, split;
  };
  Place at(int64_t piece) const { return {piece / columns % rows, piece % columns, piece / (columns * rows)}; }
};

/// The product of one tile shape, with one set of oneDNN's memory handles per thread.
class TileProduct {
public:
  /// Products of bf16 are paired where the CPU does that and no better, and widened to f32 where oneDNN has none for
  /// it.
  static absl::StatusOr<TileProduct> create(const GemmSpec &spec, const dnnl::engine &engine, int threads);

  size_t scratchBytes() const { return widened_ ? (scratchBytes_ + 63) / 64 * 64 + widened_->bytes() : scratchBytes_; }
  /// `next`: the operands of the piece that the thread will probably take next, or nulls.
  bool run(int thread, const dnnl::stream &stream, const PairedTile::Operands &operands, void *c,
           const PairedTile::Operands &next, void *scratch) const;

private:
  bool execute(int thread, const dnnl::stream &stream, const void *a, const void *b, void *c, void *scratch) const;

  struct Handles {
    dnnl::memory a, b, c, scratch;
  };
  dnnl::matmul primitive_;
  std::vector<Handles> handles_;
  size_t scratchBytes_ = 0; // of the primitive or the paired tile
  std::optional<WidenedTile> widened_;
  std::optional<PairedTile> paired_; // in oneDNN's place
};

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
  std::unique_ptr<DeviceMemory> partials_; // of the product that runs
};

} // namespace oriel::runtime

#endif
