// Dense products behind the emulated driver: plain loops with the rounding of tensor cores. They run in stream order.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_HOSTPRODUCTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_HOSTPRODUCTS_H

#include "runtime/device/cuda/MatrixProducts.h"

#include <memory>

namespace oriel::runtime::emulated {

/// For streams of emulatedDriver(). Each row is one sum in order of k, so the number of threads changes no bit.
std::unique_ptr<cuda::MatrixProducts> createHostProducts();

} // namespace oriel::runtime::emulated

#endif
