// The collective steps of a plan on device memory, while they run beside its other steps.
//
// A collective may be cut in pieces that are waited for one by one: a gather of parameters in as many as there are
// owners of slices, so that the first layers of the next step start while the last layers' parameters still travel. Who
// uses memory that a piece writes says so before (await); pieces that nobody has awaited stay pending from one entry
// point to the next.
#ifndef ORIEL_RUNTIME_EXECUTOR_EXCHANGE_H
#define ORIEL_RUNTIME_EXECUTOR_EXCHANGE_H

#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/device/Device.h"

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

  /// Plans a piece over `range`, the slices of `owners`. Returns its number, from 0.
  int addPiece(ByteRange range, RankRange owners);
  int pieces() const { return static_cast<int>(pieces_.size()); }
  const ByteRange &rangeOf(int piece) const { return pieces_[static_cast<size_t>(piece)].range; }

  /// Null: collectives do not run here but through the host.
  void use(DeviceCollectives *collectives) { collectives_ = collectives; }
  bool active() const { return collectives_; }

  absl::Status gather(int piece, void *data, int64_t count, DType dtype, Deadline deadline);
  absl::Status reduce(int piece, void *data, int64_t count, DType dtype, Deadline deadline);

  /// What the device is given from now on runs after the piece, or after every piece that overlaps the range.
  absl::Status await(int piece);
  absl::Status await(const ByteRange &range);

  /// Blocks until the device has done all that it was given; `deadline` counts where that may wait for other ranks.
  absl::Status settle(Deadline deadline);

private:
  struct Piece {
    ByteRange range;
    RankRange owners;
    CollectiveTicket pending = 0; // 0: none, or the device waits for it already
  };
  absl::Status note(int piece, absl::StatusOr<CollectiveTicket> ticket);

  Device &device_;
  DeviceCollectives *collectives_ = nullptr;
  std::vector<Piece> pieces_;
};

} // namespace oriel::runtime

#endif
