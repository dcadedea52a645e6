// oneDNN throws while it prepares; every throw is turned into a status here.
#include "runtime/device/cpu/CpuGemm.h"

#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuMemory.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <omp.h>

namespace oriel::runtime {

using dnnl::memory;

namespace {

constexpr int64_t wantedTiles = 16;
constexpr int64_t smallestTile = 64;
constexpr int64_t tileMultiple = 16; // of f32 in a wide register

memory::data_type toDnnl(DType dtype) {
  return dtype == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// A row-major matrix [rows, columns] seen, on request, as its transpose.
memory::desc matrixDesc(int64_t rows, int64_t columns, int64_t leading, bool transposed, DType dtype) {
  memory::dims strides = transposed ? memory::dims{1, leading} : memory::dims{leading, 1};
  return memory::desc({rows, columns}, toDnnl(dtype), strides);
}

std::string describe(const GemmSpec &spec) {
  return absl::StrCat(nameOf(spec.dtype), spec.transposeA ? " T" : " N", spec.transposeB ? "T " : "N ", spec.m, "x",
                      spec.n, "x", spec.k, " ld ", spec.lda, ",", spec.ldb, ",", spec.ldc, " beta ", spec.beta, " to ",
                      nameOf(spec.cDType));
}

const void *elementAt(const void *data, int64_t index, DType dtype) {
  return static_cast<const std::byte *>(data) + index * static_cast<int64_t>(bytesOf(dtype));
}

/// One OpenMP thread for oneDNN when the calling thread makes a primitive (it keeps that number) or runs one.
class OneThread {
public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

private:
  int before_;
};

} // namespace

TileGrid TileGrid::of(int64_t m, int64_t n) {
  TileGrid grid{m, n, 1, 1};
  auto halve = [](int64_t size) { return (size / 2 + tileMultiple - 1) / tileMultiple * tileMultiple; };
  while (grid.tiles() < wantedTiles) {
    int64_t &longer = grid.tileM >= grid.tileN ? grid.tileM : grid.tileN;
    if (longer < 2 * smallestTile)
      break;
    longer = halve(longer);
    grid.rows = (m + grid.tileM - 1) / grid.tileM;
    grid.columns = (n + grid.tileN - 1) / grid.tileN;
  }
  return grid;
}

absl::StatusOr<TileProduct> TileProduct::create(const GemmSpec &spec, const dnnl::engine &engine, int threads) {
  try {
    OneThread guard;
    auto a = matrixDesc(spec.m, spec.k, spec.lda, spec.transposeA, spec.dtype);
    auto b = matrixDesc(spec.k, spec.n, spec.ldb, spec.transposeB, spec.dtype);
    auto c = matrixDesc(spec.m, spec.n, spec.ldc, false, spec.cDType);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (spec.beta != 0) {
      dnnl::post_ops accumulate;
      accumulate.append_sum(spec.beta);
      attributes.set_post_ops(accumulate);
    }
    dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine);
    TileProduct product;
    product.primitive_ = dnnl::matmul(description);
    product.scratchBytes_ = description.scratchpad_desc().get_size();
    auto handle = [&](const memory::desc &desc) { return memory(desc, engine, DNNL_MEMORY_NONE); };
    for (int thread = 0; thread < threads; ++thread)
      product.handles_.push_back({handle(a), handle(b), handle(c), handle(description.scratchpad_desc())});
    return product;
  } catch (const dnnl::error &error) {
    return absl::InternalError(absl::StrCat("oneDNN cannot prepare gemm ", describe(spec), ": ", error.message));
  }
}

bool TileProduct::run(int thread, const dnnl::stream &stream, const void *a, const void *b, void *c,
                      void *scratch) const {
  const Handles &handles = handles_[static_cast<size_t>(thread)];
  auto point = [](const memory &handle, const void *data) {
    return dnnl_memory_set_data_handle(handle.get(), const_cast<void *>(data)) == dnnl_success;
  };
  if (!point(handles.a, a) || !point(handles.b, b) || !point(handles.c, c) || !point(handles.scratch, scratch))
    return false;
  // The C interface: the C++ one would build a map and a vector for each execution.
  std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, handles.a.get()},
                                               {DNNL_ARG_WEIGHTS, handles.b.get()},
                                               {DNNL_ARG_DST, handles.c.get()},
                                               {DNNL_ARG_SCRATCHPAD, handles.scratch.get()}}};
  return dnnl_primitive_execute(primitive_.get(), stream.get(), static_cast<int>(arguments.size()), arguments.data()) ==
         dnnl_success;
}

CpuGemmLibrary::CpuGemmLibrary(WorkerPool &pool) : pool_(pool), engine_(dnnl::engine::kind::cpu, 0) {
  for (int thread = 0; thread < pool.threads(); ++thread)
    streams_.emplace_back(engine_);
}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemmLibrary::create(const GemmSpec &spec) {
  auto gemm = std::make_shared<CpuGemm>();
  gemm->spec = spec;
  gemm->grid = TileGrid::of(spec.m, spec.n);
  const TileGrid &grid = gemm->grid;
  for (bool lastRow : {false, true})
    for (bool lastColumn : {false, true}) {
      GemmSpec tile = spec;
      tile.m = lastRow ? spec.m - (grid.rows - 1) * grid.tileM : grid.tileM;
      tile.n = lastColumn ? spec.n - (grid.columns - 1) * grid.tileN : grid.tileN;
      ORIEL_ASSIGN_OR_RETURN(TileProduct product, TileProduct::create(tile, engine_, pool_.threads()));
      gemm->scratchBytes = std::max(gemm->scratchBytes, product.scratchBytes());
      gemm->products.push_back(std::move(product));
    }
  return gemm;
}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemmLibrary::prepare(const GemmSpec &spec) {
  std::shared_ptr<CpuGemm> &cached = cache_[describe(spec)];
  if (cached)
    return cached;
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<CpuGemm> gemm, create(spec));
  if (!scratch_ || scratchBytesPerThread_ < gemm->scratchBytes) {
    scratchBytesPerThread_ = (gemm->scratchBytes + 4095) / 4096 * 4096;
    ORIEL_ASSIGN_OR_RETURN(scratch_, allocateCpuMemory(scratchBytesPerThread_ * static_cast<size_t>(pool_.threads())));
  }
  cached = gemm;
  return gemm;
}

absl::Status CpuGemmLibrary::run(const CpuGemm &gemm, const void *a, const void *b, void *c) {
  const GemmSpec &spec = gemm.spec;
  const TileGrid &grid = gemm.grid;
  std::atomic<bool> ok = true;
  auto runTile = [&](int64_t tile, int thread) {
    int64_t row = tile / grid.columns, column = tile % grid.columns;
    int64_t m = row * grid.tileM, n = column * grid.tileN;
    const void *aTile = elementAt(a, spec.transposeA ? m : m * spec.lda, spec.dtype);
    const void *bTile = elementAt(b, spec.transposeB ? n * spec.ldb : n, spec.dtype);
    auto *cTile = const_cast<void *>(elementAt(c, m * spec.ldc + n, spec.cDType));
    void *scratch = scratch_->data() + scratchBytesPerThread_ * static_cast<size_t>(thread);
    if (!gemm.productOf(row, column).run(thread, streams_[static_cast<size_t>(thread)], aTile, bTile, cTile, scratch))
      ok = false;
  };
  OneThread guard;
  pool_.forEach(grid.tiles(), 1, runTile);
  return ok ? absl::OkStatus() : absl::InternalError(absl::StrCat("oneDNN could not run gemm ", describe(spec)));
}

} // namespace oriel::runtime
