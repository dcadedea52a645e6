// Where kernels run and memory lies: cpu/ and cuda/.
//
// The executor prepares everything once (memory allocated, kernels looked up, matrix products planned) and then only
// issues work: launch, gemm, fillZero and copy allocate nothing of their own. Work is issued in order and done, at the
// latest, when synchronize() returns (on the CPU when each call returns); an error may be reported as late as that. The
// host follows an address of device memory only where DeviceMemory::hostVisible() allows it; everywhere else it copies.
// One thread at a time uses a device; what a device has made ends before it.
#ifndef ORIEL_RUNTIME_DEVICE_DEVICE_H
#define ORIEL_RUNTIME_DEVICE_DEVICE_H

#include "runtime/base/DType.h"

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace oriel::plan {
class Plan;
}

namespace oriel::runtime {

/// One block of memory, zero-filled, aligned to at least 64 bytes; freed by the destructor.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  virtual std::byte *data() const = 0;
  virtual size_t bytes() const = 0;
  /// Whether the host reads and writes it by its addresses.
  virtual bool hostVisible() const = 0;
};

/// Device: what kernels work on. Staging: memory of the host that copies reach fastest (pinned, on a GPU).
enum class MemoryUse { Device, Staging };

/// A view of one of a kernel's buffers that the kernel takes as a further argument, behind its buffers: boxes of it are
/// copied to shared memory by themselves (NVIDIA's tensor maps). Dimensions are innermost first, at most 5.
struct TensorMapSpec {
  int64_t argument = 0; // of the buffer, whose address is a multiple of 16
  DType dtype = DType::BF16;
  std::vector<uint64_t> sizes;   // elements; what lies beyond reads as zero
  std::vector<uint64_t> strides; // bytes, multiples of 16, of all dimensions but the innermost
  std::vector<uint32_t> box;     // elements of one copy, at most 256 of a dimension
  int64_t swizzleBytes = 0;      // bytes of a box's rows in shared memory whose 16-byte units are permuted: 32, 64, 128
};

/// One use of a kernel: everything about it but the addresses of its buffers.
struct LaunchSpec {
  std::string symbol;
  int64_t arguments = 0; // buffers
  std::array<int64_t, 3> grid = {1, 1, 1};
  int64_t threads = 1;     // of a block; the CPU runs a cell as one
  int64_t sharedBytes = 0; // shared memory of a block
  size_t scratchBytes = 0; // private to a running cell (CPU)
  std::vector<TensorMapSpec> tensorMaps = {};
};

/// A launch of fixed shape, ready to run on any addresses.
class PreparedLaunch {
public:
  virtual ~PreparedLaunch() = default;
};

/// The loaded code of a package.
class KernelLibrary {
public:
  virtual ~KernelLibrary() = default;
  /// NotFound when the library has no such symbol. The launch ends before the library.
  virtual absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const LaunchSpec &spec) = 0;
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

/// Issued work that can be issued again at once.
class Recording {
public:
  virtual ~Recording() = default;
};

class Device {
public:
  virtual ~Device() = default;

  /// E.g. "cpu: AMD EPYC 9R14, 2 threads".
  virtual std::string description() const = 0;
  /// Threads of the host that compute.
  virtual int threads() const = 0;

  virtual absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes, MemoryUse use = MemoryUse::Device) = 0;
  /// The code of the kernels of `plan`, in files that begin with `stem`, as "<package>/kernels": kernels.so, or what the
  /// plan lists. FailedPrecondition when the device does not run that target, with what to compile for instead. While a library is
  /// loaded, its file must stay as it is: the system's loader knows files by their names.
  virtual absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const plan::Plan &plan,
                                                                     const std::string &stem) = 0;
  /// Equal specs may share one prepared product.
  virtual absl::StatusOr<std::shared_ptr<PreparedGemm>> prepareGemm(const GemmSpec &spec) = 0;

  /// `addresses`: of the kernel's buffers, inputs then outputs.
  virtual absl::Status launch(PreparedLaunch &launch, void *const *addresses) = 0;
  virtual absl::Status gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) = 0;
  virtual absl::Status fillZero(void *target, size_t bytes) = 0;
  /// Between any two places of device or host memory. Host memory stays as it is until synchronize().
  virtual absl::Status copy(void *target, const void *source, size_t bytes) = 0;
  virtual absl::Status synchronize() = 0;

  /// Records what `issue` issues, with the addresses it gives, instead of running it. Null where replaying would gain
  /// nothing: then nothing was issued.
  virtual absl::StatusOr<std::unique_ptr<Recording>> record(absl::FunctionRef<absl::Status()> issue) {
    return std::unique_ptr<Recording>();
  }
  virtual absl::Status replay(Recording &recording) { return absl::UnimplementedError("this device records nothing"); }
};

} // namespace oriel::runtime

#endif
