#include "runtime/device/cuda/emulated/HostProducts.h"

#include "runtime/device/cuda/emulated/EmulatedDriver.h"
#include "runtime/device/cuda/emulated/Intrinsics.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace oriel::runtime::emulated {

namespace {

struct HostProduct final : PreparedGemm {
  explicit HostProduct(const GemmSpec &spec) : spec(spec) {}
  const GemmSpec spec;
};

float widen(uint16_t bf16) { return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16); }

/// Element i of an operand.
float operand(const void *data, int64_t i, DType dtype) {
  return dtype == DType::BF16 ? widen(static_cast<const uint16_t *>(data)[i]) : static_cast<const float *>(data)[i];
}

/// op(b) as a dense [k, n] matrix.
std::vector<float> denseB(const GemmSpec &s, const void *b, WorkerPool &pool) {
  std::vector<float> dense(static_cast<size_t>(s.k * s.n));
  pool.forEach(s.k, 16, [&](int64_t k, int) {
    for (int64_t j = 0; j < s.n; ++j)
      dense[static_cast<size_t>(k * s.n + j)] = operand(b, s.transposeB ? j * s.ldb + k : k * s.ldb + j, s.dtype);
  });
  return dense;
}

void multiplyRow(const GemmSpec &s, int64_t i, const void *a, const std::vector<float> &b, void *c) {
  std::vector<float> sums(static_cast<size_t>(s.n), 0.0f);
  for (int64_t k = 0; k < s.k; ++k) {
    float factor = operand(a, s.transposeA ? k * s.lda + i : i * s.lda + k, s.dtype);
    const float *row = b.data() + k * s.n;
    for (int64_t j = 0; j < s.n; ++j)
      sums[static_cast<size_t>(j)] += factor * row[j];
  }
  for (int64_t j = 0; j < s.n; ++j) {
    float sum = sums[static_cast<size_t>(j)];
    if (s.cDType == DType::BF16) {
      uint16_t &target = static_cast<uint16_t *>(c)[i * s.ldc + j];
      target = orielEmulatedRoundToBf16(sum + (s.beta != 0 ? widen(target) : 0));
    } else {
      float &target = static_cast<float *>(c)[i * s.ldc + j];
      target = sum + (s.beta != 0 ? target : 0);
    }
  }
}

class HostProducts final : public cuda::MatrixProducts {
public:
  absl::StatusOr<std::shared_ptr<PreparedGemm>> prepare(const GemmSpec &spec) override {
    return std::shared_ptr<PreparedGemm>(std::make_shared<HostProduct>(spec));
  }

  absl::Status run(const PreparedGemm &gemm, const void *a, const void *b, void *c, cuda::Stream stream) override {
    const GemmSpec spec = static_cast<const HostProduct &>(gemm).spec;
    cuda::Result result = enqueueHostWork(stream, [spec, a, b, c](WorkerPool &pool) {
      std::vector<float> dense = denseB(spec, b, pool);
      pool.forEach(spec.m, 1, [&](int64_t i, int) { multiplyRow(spec, i, a, dense, c); });
      return std::string();
    });
    return result == cuda::success ? absl::OkStatus() : absl::InternalError("a product after a faulty kernel");
  }
};

} // namespace

std::unique_ptr<cuda::MatrixProducts> createHostProducts() { return std::make_unique<HostProducts>(); }

} // namespace oriel::runtime::emulated
