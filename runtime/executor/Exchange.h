// The collective steps of a plan on device memory, while they run beside its other steps.
//
// Each collective step of a plan is a piece: memory that it writes. Who uses that memory says so before (await); pieces that
// nobody has awaited stay pending from one entry point to the next: buckets of gradients until the norm is taken, and
// buckets of parameters until the first layer of the next step that reads them.
#ifndef ORIEL_RUNTIME_EXECUTOR_EXCHANGE_H
#define ORIEL_RUNTIME_EXECUTOR_EXCHANGE_H

#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/device/Device.h"
#include "runtime/executor/StepTrace.h"

#include <deque>
#include <vector>

namespace oriel::runtime {

/// Bytes of device memory.
struct ByteRange {
  const std::byte *begin = nullptr, *end = nullptr;
  bool overlaps(const ByteRange &other) const { return begin < other.end && other.begin < end; }
};

class Exchange {
public:
  explicit Exchange(Device &device) : device_(device) {}
  /// Waits a little for what is pending: it uses memory that may end soon.
  ~Exchange();

  /// Plans a piece. Returns its number, from 0.
  int addPiece(ByteRange range);
  int pieces() const { return static_cast<int>(pieces_.size()); }
  const ByteRange &rangeOf(int piece) const { return pieces_[static_cast<size_t>(piece)].range; }
  bool isPending(int piece) const { return pieces_[static_cast<size_t>(piece)].pending != 0; }

  /// Null: collectives do not run here but through the host.
  void use(DeviceCollectives *collectives) { collectives_ = collectives; }
  bool active() const { return collectives_; }

  absl::Status gather(int piece, void *data, int64_t count, DType dtype, Deadline deadline);
  absl::Status reduce(int piece, void *data, int64_t count, DType dtype, Deadline deadline);

  /// What the device is given from now on runs after the piece, or after every piece that overlaps the range.
  absl::Status await(int piece);
  absl::Status await(const ByteRange &range);

  /// Has `hook` called, while somebody settles, with the trace of each collective that has ended; empty: for none. Then
  /// collectives that are under way are waited for, so that none is missing in the trace.
  void setHook(StepHook hook, Deadline deadline);
  /// Names the collective that the piece is pending for; its times and kind are filled in at its end.
  void describe(int piece, const StepTrace &trace);

  /// Blocks until the device has done all that it was given; `deadline` counts where that may wait for other ranks.
  absl::Status settle(Deadline deadline);

private:
  struct Piece {
    ByteRange range;
    CollectiveTicket pending = 0; // 0: none, or the device waits for it already
  };
  absl::Status note(int piece, absl::StatusOr<CollectiveTicket> ticket);

  Device &device_;
  DeviceCollectives *collectives_ = nullptr;
  std::vector<Piece> pieces_;
  struct Described {
    CollectiveTicket ticket;
    StepTrace trace;
  };
  std::deque<Described> described_; // in the order of their tickets
  bool watching_ = false;
};

} // namespace oriel::runtime

#endif
