// The context of one CUDA device: made current before its driver is called, and waited on.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_SESSION_H
#define ORIEL_RUNTIME_DEVICE_CUDA_SESSION_H

#include "runtime/device/cuda/CudaDriver.h"

#include <functional>

namespace oriel::runtime::cuda {

/// Copies stand for the same context. The driver outlives it.
class Session {
public:
  Session(const Driver &driver, Context context) : driver_(driver), context_(context) {}

  /// The driver, for a call from this thread.
  const Driver &enter() const {
    driver_.ctxSetCurrent(context_);
    return driver_;
  }
  absl::Status check(Result result, absl::string_view what) const { return cuda::check(driver_, result, what); }

  /// Whether all work of the stream is done; its error when some was faulty. `what` names the stream.
  absl::StatusOr<bool> isIdle(Stream stream, absl::string_view what) const;
  /// Polls until it is: at first without a pause, then giving the core away.
  absl::Status await(Stream stream, absl::string_view what) const;

private:
  const Driver &driver_;
  Context context_;
};

} // namespace oriel::runtime::cuda

#endif
