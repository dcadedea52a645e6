// Dense products by cuBLASLt, opened at run time: neither build nor start of a program needs it.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_CUBLASLT_H
#define ORIEL_RUNTIME_DEVICE_CUDA_CUBLASLT_H

#include "runtime/device/cuda/MatrixProducts.h"

#include <memory>

namespace oriel::runtime::cuda {

/// For the current context of `driver`. NotFound when neither version 13 nor 12 of the library is installed.
absl::StatusOr<std::unique_ptr<MatrixProducts>> createCublasLt(const Driver &driver);

} // namespace oriel::runtime::cuda

#endif
