#include "runtime/communicator/nccl/NcclCollectives.h"

#include "runtime/base/Status.h"
#include "runtime/communicator/Call.h"

#include "absl/strings/str_cat.h"

#include <chrono>
#include <cstring>
#include <thread>

namespace oriel::runtime {

namespace {

constexpr auto pollPause = std::chrono::microseconds(20);

int typeOf(DType dtype) {
  return dtype == DType::F32 ? nccl::float32Type : dtype == DType::BF16 ? nccl::bfloat16Type : nccl::int32Type;
}

class NcclCollectives final : public DeviceCollectives {
public:
  NcclCollectives(const nccl::Nccl &library, int rank, int size, DeviceStream stream)
      : library_(library), rank_(rank), size_(size), stream_(std::move(stream)) {}
  ~NcclCollectives() override {
    if (comm_)
      library_.commDestroy(comm_);
  }

  absl::Status connect(const nccl::UniqueId &id, Deadline deadline) {
    Call call{"nccl_init", ++sequence_, rank_, size_, 0, "", 0};
    nccl::Config config;
    return finish(call, library_.commInitRankConfig(&comm_, size_, id, rank_, &config), /*onStream=*/false, deadline);
  }

  absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) override {
    Call call{"all_gather", ++sequence_, rank_, size_, bytesOfSlice(count, dtype), nameOf(dtype), 0};
    ORIEL_RETURN_IF_ERROR(checkUsable(call));
    return finish(call,
                  library_.allGather(sliceOf(data, count, dtype), data, static_cast<size_t>(count), typeOf(dtype),
                                     comm_, stream_.handle),
                  /*onStream=*/true, deadline);
  }

  absl::Status reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) override {
    Call call{"reduce_scatter", ++sequence_, rank_, size_, bytesOfSlice(count, dtype), nameOf(dtype), 0};
    ORIEL_RETURN_IF_ERROR(checkUsable(call));
    if (dtype != DType::F32)
      return call.misused("only f32 is summed");
    return finish(call,
                  library_.reduceScatter(data, sliceOf(data, count, dtype), static_cast<size_t>(count), typeOf(dtype),
                                         nccl::sum, comm_, stream_.handle),
                  /*onStream=*/true, deadline);
  }

private:
  static int64_t bytesOfSlice(int64_t count, DType dtype) { return count * static_cast<int64_t>(bytesOf(dtype)); }
  /// This rank's slice: in place is what NCCL calls these addresses.
  void *sliceOf(void *data, int64_t count, DType dtype) const {
    return static_cast<std::byte *>(data) + rank_ * bytesOfSlice(count, dtype);
  }

  absl::Status checkUsable(const Call &call) const { return broken_.ok() ? absl::OkStatus() : call.broken(broken_); }

  /// Polls until NCCL has taken the call and, of one that is on the stream, the stream has done it.
  absl::Status finish(const Call &call, nccl::Result issued, bool onStream, Deadline deadline) {
    absl::Status status = poll(call, issued, onStream, deadline);
    if (!status.ok()) {
      broken_ = status;
      if (comm_)
        library_.commAbort(comm_); // ends what is left on the stream, and frees it
      comm_ = nullptr;
    }
    return status;
  }

  absl::Status poll(const Call &call, nccl::Result issued, bool onStream, Deadline deadline) {
    for (nccl::Result state = issued;; std::this_thread::sleep_for(pollPause)) {
      if (state != nccl::success && state != nccl::inProgress)
        return absl::UnavailableError(absl::StrCat(call.describe(), ": NCCL: ", library_.getErrorString(state)));
      if (state == nccl::success && !onStream)
        return absl::OkStatus();
      if (state == nccl::success) {
        ORIEL_ASSIGN_OR_RETURN(bool idle, stream_.idle());
        if (idle)
          return absl::OkStatus();
      }
      if (deadline.expired())
        return absl::DeadlineExceededError(
            absl::StrCat(call.describe(), ": not done within ", deadline.span(), " s; a peer may be gone"));
      if (nccl::Result asked = library_.commGetAsyncError(comm_, &state); asked != nccl::success)
        state = asked;
    }
  }

  const nccl::Nccl library_;
  const int rank_, size_;
  const DeviceStream stream_;
  nccl::Comm comm_ = nullptr;
  uint64_t sequence_ = 0;
  absl::Status broken_;
};

/// Rank 0's id; the same error on every rank when it has none.
absl::StatusOr<nccl::UniqueId> shareId(const nccl::Nccl &library, Communicator &host, Deadline deadline) {
  std::string mine;
  nccl::UniqueId id = {};
  if (host.rank() == 0 && library.getUniqueId(&id) == nccl::success)
    mine.assign(id.bytes, sizeof id.bytes);
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, host.allGatherBytes(mine, deadline));
  if (all[0].size() != sizeof id.bytes)
    return absl::UnavailableError("rank 0 got no NCCL id (set NCCL_DEBUG=WARN to see why)");
  std::memcpy(id.bytes, all[0].data(), sizeof id.bytes);
  return id;
}

} // namespace

absl::StatusOr<std::unique_ptr<DeviceCollectives>> createNcclCollectives(const nccl::Nccl &library, Communicator &host,
                                                                         DeviceStream stream, Deadline deadline) {
  ORIEL_ASSIGN_OR_RETURN(nccl::UniqueId id, shareId(library, host, deadline));
  auto collectives = std::make_unique<NcclCollectives>(library, host.rank(), host.size(), std::move(stream));
  ORIEL_RETURN_IF_ERROR(collectives->connect(id, deadline));
  return collectives;
}

} // namespace oriel::runtime
