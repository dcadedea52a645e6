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

/// Products of bf16 are ours where oneDNN, too, would multiply pairs; CPUs with more (AMX) or less are its own.
bool isPaired(const GemmSpec &spec) {
  static const bool multipliesPairs = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx512_core_bf16;
  return multipliesPairs && PairedTile::takes(spec);
}

/// Limits of tiles, found by measurement on Zen 4 (tests/bench/NOTES.md). Weight gradients, whose K is tokens, want
/// wide tiles and K in ranges; products with a short K want the columns cut before the rows. A tile of bf16 is worth
/// packing when it is larger than one of f32: it takes half the time. Paired tiles pack less, so they may be smaller,
/// and gain more from a longer range.
struct TileLimits {
  int64_t widestTile;    // columns
  int64_t shortestTile;  // rows
  int64_t smallestTile;  // elements; with a smaller one packing costs too much
  int64_t shortestRange; // of K
};

constexpr int64_t wantedPieces = 16;
constexpr int64_t tileMultiple = 16; // of f32 in a wide register

/// oneDNN's brgemm wants dense matrices, so tiles of whole rows of the result. In f32 it is faster where the second
/// operand is turned and K is long.
TileLimits limitsFor(const GemmSpec &spec) {
  if (isPaired(spec) && spec.transposeA)
    return {512, 128, 128 * 256, 2048};
  if (spec.dtype == DType::BF16)
    return {1024, 256, 256 * 256, 512};
  if (!spec.transposeA && spec.transposeB && spec.n <= 1024 && spec.k >= 512)
    return {1024, 128, 128 * 256, 1024};
  return {512, 16, 128 * 256, 1024};
}

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

TileGrid TileGrid::of(const GemmSpec &spec) {
  TileGrid grid{spec.m, spec.n, spec.k, 1, 1, 1};
  TileLimits limits = limitsFor(spec);
  bool splitsK = spec.cDType == DType::F32; // sums over ranges of K are added in f32
  auto halve = [](int64_t size) { return (size / 2 + tileMultiple - 1) / tileMultiple * tileMultiple; };
  auto count = [](int64_t size, int64_t piece) { return (size + piece - 1) / piece; };
  while (grid.pieces() < wantedPieces) {
    bool mayShrink = grid.tileM * grid.tileN >= 2 * limits.smallestTile;
    if (grid.tileN > limits.widestTile)
      grid.tileN = halve(grid.tileN);
    else if (mayShrink && grid.tileM >= 2 * limits.shortestTile)
      grid.tileM = halve(grid.tileM);
    else if (splitsK && grid.tileK >= 2 * limits.shortestRange)
      grid.tileK = halve(grid.tileK);
    else if (mayShrink && grid.tileN >= 2 * tileMultiple)
      grid.tileN = halve(grid.tileN);
    else
      break;
    grid.rows = count(spec.m, grid.tileM);
    grid.columns = count(spec.n, grid.tileN);
    grid.splits = count(spec.k, grid.tileK);
  }
  return grid;
}

absl::StatusOr<TileProduct> TileProduct::create(const GemmSpec &spec, const dnnl::engine &engine, int threads) {
  if (isPaired(spec)) {
    TileProduct product;
    product.paired_ = PairedTile(spec);
    product.scratchBytes_ = product.paired_->scratchBytes();
    return product;
  }
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
    if (error.status == dnnl_unimplemented && spec.dtype == DType::BF16) {
      WidenedTile widened(spec);
      ORIEL_ASSIGN_OR_RETURN(TileProduct product, create(widened.spec(), engine, threads));
      product.widened_ = widened;
      return product;
    }
    return absl::InternalError(absl::StrCat("oneDNN cannot prepare gemm ", describe(spec), ": ", error.message));
  }
}

bool TileProduct::run(int thread, const dnnl::stream &stream, const PairedTile::Operands &operands, void *c,
                      const PairedTile::Operands &next, void *scratch) const {
  auto [a, b] = operands;
  if (paired_) {
    paired_->run(operands, c, next, scratch);
    return true;
  }
  if (!widened_)
    return execute(thread, stream, a, b, c, scratch);
  void *copies = static_cast<std::byte *>(scratch) + (scratchBytes_ + 63) / 64 * 64;
  WidenedTile::Operands wide = widened_->fill(a, b, c, copies);
  bool ok = execute(thread, stream, wide.a, wide.b, wide.c, scratch);
  widened_->finish(wide, c);
  return ok;
}

bool TileProduct::execute(int thread, const dnnl::stream &stream, const void *a, const void *b, void *c,
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

/// The product that makes a piece of one kind: its sizes, and where it writes.
static GemmSpec pieceSpec(const GemmSpec &spec, const TileGrid &grid, size_t kind) {
  auto size = [](bool last, int64_t whole, int64_t piece, int64_t count) {
    return last ? whole - (count - 1) * piece : piece;
  };
  GemmSpec piece = spec;
  piece.m = size(kind & 8, spec.m, grid.tileM, grid.rows);
  piece.n = size(kind & 4, spec.n, grid.tileN, grid.columns);
  piece.k = size(kind & 2, spec.k, grid.tileK, grid.splits);
  if (!(kind & 1)) { // into a partial sum
    piece.beta = 0;
    piece.ldc = spec.n;
  }
  return piece;
}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemmLibrary::create(const GemmSpec &spec) {
  auto gemm = std::make_shared<CpuGemm>();
  gemm->spec = spec;
  gemm->grid = TileGrid::of(spec);
  const TileGrid &grid = gemm->grid;
  absl::flat_hash_map<std::string, size_t> known;
  for (int64_t row : {int64_t(0), grid.rows - 1})
    for (int64_t column : {int64_t(0), grid.columns - 1})
      for (int64_t split : {int64_t(0), std::min<int64_t>(1, grid.splits - 1), grid.splits - 1}) {
        size_t kind = gemm->kindOf(row, column, split);
        GemmSpec piece = pieceSpec(spec, grid, kind);
        auto [entry, isNew] = known.try_emplace(describe(piece), gemm->products.size());
        gemm->whichProduct[kind] = entry->second;
        if (!isNew)
          continue;
        ORIEL_ASSIGN_OR_RETURN(TileProduct product, TileProduct::create(piece, engine_, pool_.threads()));
        gemm->scratchBytes = std::max(gemm->scratchBytes, product.scratchBytes());
        gemm->products.push_back(std::move(product));
      }
  return gemm;
}

absl::Status CpuGemmLibrary::reserve(const CpuGemm &gemm) {
  if (!scratch_ || scratchBytesPerThread_ < gemm.scratchBytes) {
    scratchBytesPerThread_ = (gemm.scratchBytes + 4095) / 4096 * 4096;
    ORIEL_ASSIGN_OR_RETURN(scratch_, allocateCpuMemory(scratchBytesPerThread_ * static_cast<size_t>(pool_.threads())));
  }
  size_t partialBytes = static_cast<size_t>(gemm.partialElements()) * sizeof(float);
  if (partialBytes > 0 && (!partials_ || partials_->bytes() < partialBytes)) {
    ORIEL_ASSIGN_OR_RETURN(partials_, allocateCpuMemory(partialBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemmLibrary::prepare(const GemmSpec &spec) {
  std::shared_ptr<CpuGemm> &cached = cache_[describe(spec)];
  if (cached)
    return cached;
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<CpuGemm> gemm, create(spec));
  ORIEL_RETURN_IF_ERROR(reserve(*gemm));
  cached = gemm;
  return gemm;
}

bool CpuGemmLibrary::runPiece(const CpuGemm &gemm, int64_t piece, int thread, const void *a, const void *b, void *c) {
  const GemmSpec &spec = gemm.spec;
  const TileGrid &grid = gemm.grid;
  auto operandsOf = [&](int64_t which) -> PairedTile::Operands {
    auto [row, column, split] = grid.at(which);
    int64_t m = row * grid.tileM, n = column * grid.tileN, k = split * grid.tileK;
    return {elementAt(a, spec.transposeA ? k * spec.lda + m : m * spec.lda + k, spec.dtype),
            elementAt(b, spec.transposeB ? n * spec.ldb + k : k * spec.ldb + n, spec.dtype)};
  };
  // Threads take pieces as they come: most often every so many-th.
  int64_t following = piece + pool_.threads();
  PairedTile::Operands next = following < grid.pieces() ? operandsOf(following) : PairedTile::Operands{};
  auto [row, column, split] = grid.at(piece);
  int64_t m = row * grid.tileM, n = column * grid.tileN;
  const void *cPiece = split == 0 ? elementAt(c, m * spec.ldc + n, spec.cDType)
                                  : elementAt(partials_->data(), ((split - 1) * spec.m + m) * spec.n + n, DType::F32);
  void *scratch = scratch_->data() + scratchBytesPerThread_ * static_cast<size_t>(thread);
  return gemm.productOf(row, column, split)
      .run(thread, streams_[static_cast<size_t>(thread)], operandsOf(piece), const_cast<void *>(cPiece), next, scratch);
}

/// sum += partial 1 + partial 2 + …, from left to right; `stride` elements lie between two partials.
[[gnu::target_clones("avx512f", "avx2", "default")]] static void
addRow(float *__restrict sum, const float *__restrict partials, int64_t stride, int64_t count, int64_t size) {
  constexpr int64_t block = 64; // four wide registers stay in registers
  int64_t i = 0;
  for (; i + block <= size; i += block) {
    float total[block];
    for (int64_t j = 0; j < block; ++j)
      total[j] = sum[i + j];
    for (int64_t partial = 0; partial < count; ++partial)
      for (int64_t j = 0; j < block; ++j)
        total[j] += partials[partial * stride + i + j];
    for (int64_t j = 0; j < block; ++j)
      sum[i + j] = total[j];
  }
  for (; i < size; ++i)
    for (int64_t partial = 0; partial < count; ++partial)
      sum[i] += partials[partial * stride + i];
}

void CpuGemmLibrary::addPartials(const CpuGemm &gemm, float *c) {
  const GemmSpec &spec = gemm.spec;
  const auto *partials = reinterpret_cast<const float *>(partials_->data());
  pool_.forEach(spec.m, std::max<int64_t>(1, 4096 / spec.n), [&](int64_t row, int) {
    addRow(c + row * spec.ldc, partials + row * spec.n, spec.m * spec.n, gemm.grid.splits - 1, spec.n);
  });
}

absl::Status CpuGemmLibrary::run(const CpuGemm &gemm, const void *a, const void *b, void *c) {
  std::atomic<bool> ok = true;
  OneThread guard;
  pool_.forEach(gemm.grid.pieces(), 1, [&](int64_t piece, int thread) {
    if (!runPiece(gemm, piece, thread, a, b, c))
      ok = false;
  });
  if (!ok)
    return absl::InternalError(absl::StrCat("oneDNN could not run gemm ", describe(gemm.spec)));
  if (gemm.grid.splits > 1)
    addPartials(gemm, static_cast<float *>(c));
  return absl::OkStatus();
}

} // namespace oriel::runtime
