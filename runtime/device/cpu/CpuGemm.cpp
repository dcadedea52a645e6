#include "runtime/device/cpu/CpuGemm.h"

#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuMemory.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <atomic>

namespace oriel::runtime {

CpuGemmLibrary::CpuGemmLibrary(WorkerPool &pool) : pool_(pool), engine_(dnnl::engine::kind::cpu, 0) {
  for (int thread = 0; thread < pool.threads(); ++thread)
    streams_.emplace_back(engine_);
  scratchOf_.resize(static_cast<size_t>(pool.threads()));
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

static const void *elementAt(const void *data, int64_t index, DType dtype) {
  return static_cast<const std::byte *>(data) + index * static_cast<int64_t>(bytesOf(dtype));
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
  return gemm.productOf(row, column, split)
      .run(thread, streams_[static_cast<size_t>(thread)], operandsOf(piece), const_cast<void *>(cPiece), next,
           scratchOf_[static_cast<size_t>(thread)]);
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
  for (int thread = 0; thread < pool_.threads(); ++thread) // what lies packed there may have changed since
    scratchOf_[static_cast<size_t>(thread)] = {scratch_->data() + scratchBytesPerThread_ * static_cast<size_t>(thread)};
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
