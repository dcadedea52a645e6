// Dense products on a CUDA stream: cuBLASLt (CublasLt.h), or plain loops behind the emulated driver
// (emulated/HostProducts.h). Operands lie in device memory.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_MATRIXPRODUCTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_MATRIXPRODUCTS_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"

namespace oriel::runtime::cuda {

/// f32 operands are rounded to tf32 (10 bits of mantissa); sums are f32. The current context is the stream's.
class MatrixProducts {
public:
  virtual ~MatrixProducts() = default;
  virtual absl::StatusOr<std::shared_ptr<PreparedGemm>> prepare(const GemmSpec &spec) = 0;
  /// Issues a product that this object prepared.
  virtual absl::Status run(const PreparedGemm &gemm, const void *a, const void *b, void *c, Stream stream) = 0;
};

} // namespace oriel::runtime::cuda

#endif
