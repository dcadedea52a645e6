// A second stream of a CUDA device, on which a library issues work of its own beside the device's: NCCL.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_SIDESTREAM_H
#define ORIEL_RUNTIME_DEVICE_CUDA_SIDESTREAM_H

#include "runtime/device/cuda/Session.h"

#include <array>
#include <cstdint>

namespace oriel::runtime::cuda {

/// Its work and the device's run side by side but where one is told to wait for the other; nothing here blocks the
/// host. Not while the device records. Used by the thread that uses the device; ends before it.
class SideStream {
public:
  /// `main`: the device's own stream, to which the calls below refer.
  static absl::StatusOr<std::unique_ptr<SideStream>> create(const Session &session, Stream main);

  /// The CUDA stream; its context becomes current on this thread.
  Stream enter() const {
    session_.enter();
    return side_;
  }

  /// What is issued here from now on runs after all that the device has been given so far.
  absl::Status followDevice();
  /// Numbers the work issued here so far, from 1.
  absl::StatusOr<uint64_t> mark();
  /// What the device is given from now on runs after the work of that mark. It may wait for later work as well.
  absl::Status letDeviceWait(uint64_t mark);
  /// Whether the work of that mark is done; asked for ascending marks.
  absl::StatusOr<bool> isDone(uint64_t mark);
  /// Whether all that was issued here is done.
  absl::StatusOr<bool> isIdle() const { return session_.isIdle(side_, "side stream"); }

private:
  SideStream(const Session &session, Stream main, Stream side) : session_(session), main_(main), side_(side) {}

  static constexpr size_t markEvents = 256;
  const Session session_;
  const Stream main_, side_;
  Event ofDevice_ = nullptr;
  std::array<Event, markEvents> ofMarks_ = {}; // mark n has event n % markEvents, until mark n + markEvents takes it
  uint64_t marks_ = 0;
  Stream probe_ = nullptr; // does nothing but wait for the mark asked for last: events themselves cannot be asked
  uint64_t probed_ = 0;
};

} // namespace oriel::runtime::cuda

#endif
