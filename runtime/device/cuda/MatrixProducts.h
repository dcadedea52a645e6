// Dense products on a CUDA stream: cuBLASLt (CublasLt.h), or plain loops behind the emulated driver
// (emulated/HostProducts.h). Operands lie in device memory.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_MATRIXPRODUCTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_MATRIXPRODUCTS_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"

namespace oriel::runtime::cuda {

/// Operands are as they lie, f32 or bf16, and sums are f32: a job in f32 wants f32 (tf32 operands alone put some
/// gradients of a local layer 2e-3 off), one that wants the speed of tensor cores is in bf16. The current context is
/// the stream's.
class MatrixProducts {
public:
  virtual ~MatrixProducts() = default;
  virtual absl::StatusOr<std::shared_ptr<PreparedGemm>> prepare(const GemmSpec &spec) = 0;
  /// Issues a product that this object prepared.
  virtual absl::Status run(const PreparedGemm &gemm, const void *a, const void *b, void *c, Stream stream) = 0;
};

} // namespace oriel::runtime::cuda

#endif
