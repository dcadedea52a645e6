// Runs the entry points of a package. The plan says everything; the executor only walks it.
//
//   auto package  = Package::load(folder);
//   auto executor = Executor::create(package, device, communicator);
//   auto tokens   = executor->buffer<int32_t>("tokens");         // the host's view, valid as long as the executor
//   executor->run("micro", /*slot=*/0);
//
// create() allocates one block for everything (arena, state, IO, constants), zero-fills it, finds every kernel and
// prepares every matrix product; run() allocates nothing, but a device that records may when an entry first runs at a
// slot. One thread at a time. An error leaves the buffers undefined.
//
// The host's view of a buffer is the memory itself where the device's memory is the host's, and otherwise a copy: of IO
// buffers run() keeps it up to date (an entry's inputs go to the device before it, its outputs come back after it), of
// STATE buffers the caller does (readState, writeState; they do nothing where the view is the memory).
#ifndef ORIEL_RUNTIME_EXECUTOR_EXECUTOR_H
#define ORIEL_RUNTIME_EXECUTOR_EXECUTOR_H

#include "runtime/base/DType.h"
#include "runtime/communicator/Communicator.h"
#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/device/Device.h"
#include "runtime/executor/StepTrace.h"
#include "runtime/plan/Package.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace oriel::runtime {

class Executor {
public:
  /// `device` and `communicator` must outlive the executor. FailedPrecondition when the plan was compiled for another
  /// number of ranks than communicator.size().
  static absl::StatusOr<std::unique_ptr<Executor>> create(std::shared_ptr<const Package> package, Device &device,
                                                          Communicator &communicator);
  ~Executor();

  const plan::Plan &plan() const;

  /// Whether the plan has an entry point, or a buffer, of that name.
  bool hasEntry(absl::string_view name) const;
  bool hasBuffer(absl::string_view name) const;

  /// The host's view of the bytes of a STATE, IO or CONSTANT buffer (all slots), up to date when it is first asked for.
  /// NotFound; FailedPrecondition for ARENA buffers.
  absl::StatusOr<absl::Span<std::byte>> bufferBytes(absl::string_view name);

  /// The same as elements of T (float or int32_t): exactly the product of the shape for a buffer without slots; all
  /// slots otherwise. InvalidArgument when the buffer has another dtype.
  template <typename T> absl::StatusOr<absl::Span<T>> buffer(absl::string_view name) {
    auto bytes = typedBuffer(name, dtypeOf<T>());
    if (!bytes.ok())
      return bytes.status();
    return absl::Span<T>(reinterpret_cast<T *>(bytes->data()), bytes->size() / sizeof(T));
  }

  /// Brings the host's view of a buffer up to date, or makes what the host wrote there the device's.
  absl::Status readState(absl::string_view name);
  absl::Status writeState(absl::string_view name);

  /// Runs an entry point. Buffers with slots are based at `slot`; OutOfRange when a step would leave its buffer.
  /// Errors name entry, step, layer and kernel; those of collectives also rank, op and peers.
  absl::Status run(absl::string_view entry, int64_t slot = 0);

  /// From now on collective steps of several ranks go through `collectives`, which works on the device's memory beside
  /// its steps and must outlive the executor; null: through the communicator, by way of host memory where that is not
  /// the device's. A collective whose result no step of its entry uses may outlast run(); what uses it later waits for
  /// it.
  void setDeviceCollectives(DeviceCollectives *collectives);

  /// How long a collective step may wait for its peers. 120 s unless set.
  void setCollectiveTimeout(double seconds);

  /// Called after each step with its times; an empty function turns tracing off. Slows steps down a little. Collectives
  /// that run beside the steps are told of when they have ended, so that traces are not in the order of their starts.
  void setStepHook(StepHook hook);

  /// Bytes of the one block: arena + state + IO + constants.
  uint64_t memoryBytes() const;

private:
  struct Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  absl::StatusOr<absl::Span<std::byte>> typedBuffer(absl::string_view name, DType dtype);

  std::unique_ptr<Impl> impl_;
};

} // namespace oriel::runtime

#endif
