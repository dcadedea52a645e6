#include "runtime/executor/Exchange.h"

#include "runtime/base/Status.h"

#include <algorithm>

namespace oriel::runtime {

namespace {
constexpr double lastSeconds = 10;
} // namespace

Exchange::~Exchange() {
  bool pending = std::any_of(pieces_.begin(), pieces_.end(), [](const Piece &piece) { return piece.pending != 0; });
  for (int piece = 0; pending && piece < pieces(); ++piece)
    if (!await(piece).ok())
      return;
  if (pending)
    (void)settle(Deadline::after(lastSeconds));
}

int Exchange::addPiece(ByteRange range) {
  pieces_.push_back({range});
  return pieces() - 1;
}

absl::Status Exchange::note(int piece, absl::StatusOr<CollectiveTicket> ticket) {
  ORIEL_RETURN_IF_ERROR(ticket.status());
  pieces_[static_cast<size_t>(piece)].pending = *ticket;
  return absl::OkStatus();
}

absl::Status Exchange::gather(int piece, void *data, int64_t count, DType dtype, Deadline deadline) {
  return note(piece, collectives_->allGather(data, count, dtype, deadline));
}

absl::Status Exchange::reduce(int piece, void *data, int64_t count, DType dtype, Deadline deadline) {
  return note(piece, collectives_->reduceScatter(data, count, dtype, deadline));
}

/// Whoever waits for a collective has waited for those before it.
absl::Status Exchange::await(int piece) {
  CollectiveTicket ticket = pieces_[static_cast<size_t>(piece)].pending;
  if (ticket == 0)
    return absl::OkStatus();
  for (Piece &each : pieces_)
    if (each.pending <= ticket)
      each.pending = 0;
  return collectives_->letDeviceWait(ticket);
}

absl::Status Exchange::await(const ByteRange &range) {
  for (int piece = 0; piece < pieces(); ++piece)
    if (rangeOf(piece).overlaps(range))
      ORIEL_RETURN_IF_ERROR(await(piece));
  return absl::OkStatus();
}

void Exchange::setHook(StepHook hook, Deadline deadline) {
  if (!collectives_)
    return;
  for (int piece = 0; watching_ && !hook && piece < pieces(); ++piece)
    (void)await(piece); // a failure breaks the collectives for good: the next step tells
  if (watching_ && !hook)
    (void)settle(deadline);
  watching_ = static_cast<bool>(hook);
  described_.clear();
  if (!hook)
    return collectives_->watch({});
  collectives_->watch([this, hook = std::move(hook)](const CollectiveTimes &times) {
    while (!described_.empty() && described_.front().ticket < times.ticket)
      described_.pop_front();
    if (described_.empty() || described_.front().ticket != times.ticket)
      return;
    StepTrace trace = described_.front().trace;
    trace.kind = StepTrace::Kind::Beside;
    trace.start = times.start;
    trace.end = times.end;
    hook(trace);
  });
}

void Exchange::describe(int piece, const StepTrace &trace) {
  if (watching_)
    described_.push_back({pieces_[static_cast<size_t>(piece)].pending, trace});
}

absl::Status Exchange::settle(Deadline deadline) {
  return collectives_ ? collectives_->finish(deadline) : device_.synchronize();
}

} // namespace oriel::runtime
