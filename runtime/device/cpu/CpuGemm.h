// Matrix products of fixed shape by oneDNN, the only place that knows oneDNN.
//
// A product is prepared once per shape and number of threads; running it sets three addresses and allocates no memory
// of ours (oneDNN makes a few small map nodes per execution). The scratch pad is ours: one, as large as the largest
// product wants, shared by all because products run one after another.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUGEMM_H

#include "runtime/device/Device.h"

#include "absl/container/flat_hash_map.h"

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

namespace oriel::runtime {

class CpuGemm final : public PreparedGemm {
public:
  static absl::StatusOr<std::shared_ptr<CpuGemm>> create(const GemmSpec &spec, const dnnl::engine &engine);

  /// Bytes of scratch pad that run() wants.
  size_t scratchBytes() const { return scratchBytes_; }
  absl::Status run(const dnnl::stream &stream, const void *a, const void *b, void *c, void *scratch);

private:
  dnnl::matmul primitive_;
  dnnl::memory a_, b_, c_, scratch_;
  size_t scratchBytes_ = 0;
};

/// Engine, stream and cache of prepared products of one device.
class CpuGemmLibrary {
public:
  CpuGemmLibrary();
  absl::StatusOr<std::shared_ptr<CpuGemm>> prepare(const GemmSpec &spec);
  absl::Status run(CpuGemm &gemm, const void *a, const void *b, void *c);

private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  absl::flat_hash_map<std::string, std::shared_ptr<CpuGemm>> cache_;
  std::unique_ptr<DeviceMemory> scratch_;
};

} // namespace oriel::runtime

#endif
