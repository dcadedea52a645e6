// Matrix products of fixed shape by oneDNN, the only place that knows oneDNN.
//
// oneDNN on several threads splits K when M·N is small, and then the number of threads changes bits. So the work is
// divided here: the result is cut into tiles by a rule that looks at the shape alone (TileGrid), each tile is one
// product that oneDNN runs on one thread, and threads take tiles as they come. Bits cannot depend on who computes a
// tile.
//
// A product is prepared once per shape; running it sets addresses and allocates no memory of ours (oneDNN makes a few
// small map nodes per execution, and packs transposed operands into a small block of its own). The scratch pads are
// ours, one per thread, as large as the largest product wants.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H

#include "runtime/device/Device.h"
#include "runtime/device/cpu/WorkerPool.h"

#include "absl/container/flat_hash_map.h"

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

namespace oriel::runtime {

/// How an m x n result is cut: rows x columns tiles, the last of each direction possibly smaller.
struct TileGrid {
  int64_t tileM, tileN;
  int64_t rows, columns;

  /// Halves the longer side until there are enough tiles for many threads, or tiles would become inefficiently small.
  static TileGrid of(int64_t m, int64_t n);
  int64_t tiles() const { return rows * columns; }
};

/// The product of one tile shape, with one set of oneDNN's memory handles per thread.
class TileProduct {
public:
  static absl::StatusOr<TileProduct> create(const GemmSpec &spec, const dnnl::engine &engine, int threads);

  size_t scratchBytes() const { return scratchBytes_; }
  bool run(int thread, const dnnl::stream &stream, const void *a, const void *b, void *c, void *scratch) const;

private:
  struct Handles {
    dnnl::memory a, b, c, scratch;
  };
  dnnl::matmul primitive_;
  std::vector<Handles> handles_;
  size_t scratchBytes_ = 0;
};

class CpuGemm final : public PreparedGemm {
public:
  GemmSpec spec;
  TileGrid grid;
  std::vector<TileProduct> products; // inner, right edge, bottom edge, corner; equal shapes are not shared
  size_t scratchBytes = 0;           // per thread

  const TileProduct &productOf(int64_t row, int64_t column) const {
    return products[static_cast<size_t>((row == grid.rows - 1 ? 2 : 0) + (column == grid.columns - 1 ? 1 : 0))];
  }
};

/// Engine, streams, scratch and cache of prepared products of one device.
class CpuGemmLibrary {
public:
  explicit CpuGemmLibrary(WorkerPool &pool);
  absl::StatusOr<std::shared_ptr<CpuGemm>> prepare(const GemmSpec &spec);
  absl::Status run(const CpuGemm &gemm, const void *a, const void *b, void *c);

private:
  absl::StatusOr<std::shared_ptr<CpuGemm>> create(const GemmSpec &spec);

  WorkerPool &pool_;
  dnnl::engine engine_;
  std::vector<dnnl::stream> streams_; // of each thread
  absl::flat_hash_map<std::string, std::shared_ptr<CpuGemm>> cache_;
  std::unique_ptr<DeviceMemory> scratch_;
  size_t scratchBytesPerThread_ = 0;
};

} // namespace oriel::runtime

#endif
