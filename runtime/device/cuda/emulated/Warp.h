#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARP_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_WARP_H

namespace oriel::runtime::emulated {

constexpr int warpSize = 32; // threads that execute together; a block's warp w has threads [32 w, 32 w + 32)

} // namespace oriel::runtime::emulated

#endif
