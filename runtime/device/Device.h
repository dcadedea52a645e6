// Where kernels run and memory lies. One implementation now (cpu/); an NVIDIA device will be a second.
//
// The executor prepares everything once (kernels looked up, matrix products planned, memory allocated) and then only
// issues work: launch, gemm, fill and copy allocate nothing of their own. Work is issued in order; synchronize() waits
// for all of it (on the CPU every call is already done when it returns). One thread at a time uses a device.
#ifndef ORIEL_RUNTIME_DEVICE_DEVICE_H
#define ORIEL_RUNTIME_DEVICE_DEVICE_H

#include "runtime/base/DType.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace oriel::runtime {

/// One block of device memory, zero-filled, aligned to at least 64 bytes; freed by the destructor.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  virtual std::byte *data() const = 0;
  virtual size_t bytes() const = 0;
};

/// void symbol(void *const *args, int64_t x, int64_t y, int64_t z, void *scratch)
using KernelFunction = void (*)(void *const *, int64_t, int64_t, int64_t, void *);

/// The loaded code of a package.
class KernelLibrary {
public:
  virtual ~KernelLibrary() = default;
  /// NotFound when the library has no such symbol.
  virtual absl::StatusOr<KernelFunction> find(const std::string &symbol) const = 0;
};

/// c[m,n] = beta * c + op(a)[m,k]·op(b)[k,n], row major, f32 accumulation. a is stored [m,k] (or [k,m] transposed).
struct GemmSpec {
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0; // elements
  bool transposeA = false, transposeB = false;
  float beta = 0;           // 0 or 1
  DType dtype = DType::F32; // of a and b
  DType cDType = DType::F32;
};

/// A matrix product of fixed shape, ready to run on any addresses.
class PreparedGemm {
public:
  virtual ~PreparedGemm() = default;
};

class Device {
public:
  virtual ~Device() = default;

  /// E.g. "cpu: AMD EPYC 9R14, 2 threads".
  virtual std::string description() const = 0;
  virtual int threads() const = 0;

  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes) = 0;
  /// While a library from `path` is loaded, the file must stay as it is: the system's loader knows files by their names.
  virtual absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const std::string &path) = 0;
  /// Equal specs share one prepared product.
  virtual absl::StatusOr<std::shared_ptr<PreparedGemm>> prepareGemm(const GemmSpec &spec) = 0;
  /// Makes room for kernels that want that much private scratch.
  virtual absl::Status reserveScratch(size_t bytesPerCell) = 0;

  virtual absl::Status launch(KernelFunction function, void *const *args, const std::array<int64_t, 3> &grid) = 0;
  virtual absl::Status gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) = 0;
  virtual absl::Status fillZero(void *target, size_t bytes) = 0;
  virtual absl::Status copy(void *target, const void *source, size_t bytes) = 0;
  virtual absl::Status synchronize() = 0;
};

} // namespace oriel::runtime

#endif
