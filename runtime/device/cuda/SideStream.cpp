#include "runtime/device/cuda/SideStream.h"

#include "runtime/base/Status.h"

namespace oriel::runtime::cuda {

absl::StatusOr<std::unique_ptr<SideStream>> SideStream::create(const Session &session, Stream main) {
  const Driver &driver = session.enter();
  Stream side = nullptr;
  ORIEL_RETURN_IF_ERROR(session.check(driver.streamCreate(&side, streamNonBlocking), "make a stream"));
  std::unique_ptr<SideStream> made(new SideStream(session, main, side));
  ORIEL_RETURN_IF_ERROR(session.check(driver.eventCreate(&made->ofDevice_, eventDisableTiming), "make an event"));
  for (Event &event : made->ofMarks_)
    ORIEL_RETURN_IF_ERROR(session.check(driver.eventCreate(&event, eventDisableTiming), "make an event"));
  return made;
}

absl::Status SideStream::followDevice() {
  const Driver &driver = session_.enter();
  ORIEL_RETURN_IF_ERROR(session_.check(driver.eventRecord(ofDevice_, main_), "record an event"));
  return session_.check(driver.streamWaitEvent(side_, ofDevice_, 0), "wait for an event");
}

absl::StatusOr<uint64_t> SideStream::mark() {
  uint64_t mark = marks_ + 1;
  ORIEL_RETURN_IF_ERROR(
      session_.check(session_.enter().eventRecord(ofMarks_[mark % markEvents], side_), "record an event"));
  return marks_ = mark;
}

absl::Status SideStream::letDeviceWait(uint64_t mark) {
  return session_.check(session_.enter().streamWaitEvent(main_, ofMarks_[mark % markEvents], 0), "wait for an event");
}

absl::StatusOr<bool> SideStream::isDone(uint64_t mark) {
  const Driver &driver = session_.enter();
  if (!probe_)
    ORIEL_RETURN_IF_ERROR(session_.check(driver.streamCreate(&probe_, streamNonBlocking), "make a stream"));
  if (mark > probed_) {
    ORIEL_RETURN_IF_ERROR(
        session_.check(driver.streamWaitEvent(probe_, ofMarks_[mark % markEvents], 0), "wait for an event"));
    probed_ = mark;
  }
  return session_.isIdle(probe_, "side stream");
}

} // namespace oriel::runtime::cuda
