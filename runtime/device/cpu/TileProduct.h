// One piece of a large product, on one thread: by oneDNN, which only this class and CpuGemm know, or, where that is
// better, by PairedTile.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_TILEPRODUCT_H
#define ORIEL_RUNTIME_DEVICE_CPU_TILEPRODUCT_H

#include "runtime/device/Device.h"
#include "runtime/device/cpu/PairedTile.h"
#include "runtime/device/cpu/WidenedTile.h"

#include "absl/status/statusor.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <vector>

namespace oriel::runtime {

/// One OpenMP thread for oneDNN when the calling thread makes a primitive (it keeps that number) or runs one.
class OneThread {
public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

private:
  int before_;
};

/// All that tells two products apart, in words.
std::string describe(const GemmSpec &spec);

/// The product of one tile shape, with one set of oneDNN's memory handles per thread.
class TileProduct {
public:
  /// Products of bf16 are paired where the CPU does that and no better, and widened to f32 where oneDNN has none for
  /// it.
  static absl::StatusOr<TileProduct> create(const GemmSpec &spec, const dnnl::engine &engine, int threads);

  /// Products of bf16 are ours where oneDNN, too, would multiply pairs; CPUs with more (AMX) or less are its own.
  static bool isPaired(const GemmSpec &spec);

  size_t scratchBytes() const { return widened_ ? (scratchBytes_ + 63) / 64 * 64 + widened_->bytes() : scratchBytes_; }
  /// `next`: the operands of the piece that the thread will probably take next, or nulls.
  bool run(int thread, const dnnl::stream &stream, const PairedTile::Operands &operands, void *c,
           const PairedTile::Operands &next, PairedTile::Scratch &scratch) const;

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

} // namespace oriel::runtime

#endif
