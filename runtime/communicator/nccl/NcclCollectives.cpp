#include "runtime/communicator/nccl/NcclCollectives.h"

#include "runtime/base/AwakeClock.h"
#include "runtime/base/Status.h"
#include "runtime/communicator/Call.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <deque>
#include <thread>

namespace oriel::runtime {

namespace {

constexpr auto pollPause = std::chrono::microseconds(20);
constexpr double mostRollCallSeconds = 5; // that ranks have to answer after a failure

int typeOf(DType dtype) {
  return dtype == DType::F32 ? nccl::float32Type : dtype == DType::BF16 ? nccl::bfloat16Type : nccl::int32Type;
}

/// `mine` of every rank: NCCL ids one behind the other.
using Ids = std::vector<nccl::UniqueId>;

class NcclCollectives final : public DeviceCollectives {
public:
  NcclCollectives(const nccl::Nccl &library, Communicator &host, CollectiveStream stream, SumOrder order)
      : library_(library), host_(host), rank_(host.rank()), size_(host.size()), stream_(std::move(stream)),
        levels_(order == SumOrder::Tree ? std::countr_zero(static_cast<unsigned>(size_)) : 0), order_(order) {}
  ~NcclCollectives() override {
    for (nccl::Comm comm : comms_)
      library_.commDestroy(comm);
  }

  absl::Status connect(Deadline deadline);

  absl::StatusOr<CollectiveTicket> allGather(void *data, int64_t count, DType dtype, Deadline deadline) override;
  absl::StatusOr<CollectiveTicket> reduceScatter(void *data, int64_t count, DType dtype, Deadline deadline) override;
  absl::Status letDeviceWait(CollectiveTicket ticket) override {
    awaited_ = std::max(awaited_, ticket);
    return stream_.letDeviceWait(ticket);
  }
  absl::Status finish(Deadline deadline) override;
  void watch(std::function<void(const CollectiveTimes &)> observer) override;

private:
  static int64_t bytesOfSlice(int64_t count, DType dtype) { return count * static_cast<int64_t>(bytesOf(dtype)); }
  static void *sliceOf(void *data, int rank, int64_t bytes) { return static_cast<std::byte *>(data) + rank * bytes; }
  Call callOf(const char *op, int64_t bytes, DType dtype) {
    return {op, ++sequence_, rank_, size_, bytes, nameOf(dtype), 0};
  }

  absl::StatusOr<std::vector<Ids>> shareIds(Deadline deadline);
  absl::Status join(int ranks, const nccl::UniqueId &id, int rank, Deadline deadline);
  nccl::Result addPairs(void *data, int64_t count, int level);

  absl::StatusOr<CollectiveTicket> issued(const Call &call);
  absl::Status await(const Call &call, nccl::Comm comm, nccl::Result state, Deadline deadline);
  bool collectivesAreDone() const;
  void observe();
  absl::Status askForErrors(const Call &call);
  absl::Status late(const Call &call, Deadline deadline) const;
  absl::Status fail(absl::Status status);

  const nccl::Nccl library_;
  Communicator &host_;
  const int rank_, size_;
  const CollectiveStream stream_;
  const int levels_; // of the tree of pairs
  const SumOrder order_;
  std::vector<nccl::Comm> comms_; // of all ranks; then, for each level, of this rank and its partner
  uint64_t sequence_ = 0;
  struct Running {
    CollectiveTicket ticket;
    Call call;
  };
  std::deque<Running> running_;  // that finish has not seen the end of
  CollectiveTicket awaited_ = 0; // the last one that the device waits for
  std::function<void(const CollectiveTimes &)> observer_;
  std::deque<CollectiveTimes> watched_; // issued at their start, not seen to end; only while there is an observer
  double lastEnd_ = 0;                  // of the collective before those
  double patience_ = 0;                 // of the call under way
  absl::Status broken_;
};

/// Rank 0 makes the id of all; of a pair, the lower rank makes it. Every rank sees every id, and the same error.
absl::StatusOr<std::vector<Ids>> NcclCollectives::shareIds(Deadline deadline) {
  Ids mine(static_cast<size_t>(1 + levels_));
  bool made = true;
  for (int i = 0; i < 1 + levels_; ++i)
    if (i == 0 ? rank_ == 0 : (rank_ >> (i - 1) & 1) == 0)
      made = made && library_.getUniqueId(&mine[static_cast<size_t>(i)]) == nccl::success;
  size_t bytes = mine.size() * sizeof(nccl::UniqueId);
  absl::string_view message(reinterpret_cast<const char *>(mine.data()), made ? bytes : 0);
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> all, host_.allGatherBytes(message, deadline));
  std::vector<Ids> ids(all.size(), mine);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].size() != bytes)
      return absl::UnavailableError(absl::StrCat("rank ", rank, " got no NCCL id (set NCCL_DEBUG=WARN to see why)"));
    std::memcpy(ids[rank].data(), all[rank].data(), bytes);
  }
  return ids;
}

absl::Status NcclCollectives::connect(Deadline deadline) {
  if (order_ == SumOrder::Tree && !std::has_single_bit(static_cast<unsigned>(size_)))
    return absl::InvalidArgumentError(absl::StrCat("sums in a fixed order need a power of two of ranks, not ", size_));
  ORIEL_ASSIGN_OR_RETURN(std::vector<Ids> ids, shareIds(deadline));
  ORIEL_RETURN_IF_ERROR(join(size_, ids[0][0], rank_, deadline));
  for (int level = 0; level < levels_; ++level) {
    int lower = rank_ & ~(1 << level);
    ORIEL_RETURN_IF_ERROR(
        join(2, ids[static_cast<size_t>(lower)][static_cast<size_t>(1 + level)], rank_ >> level & 1, deadline));
  }
  return absl::OkStatus();
}

absl::Status NcclCollectives::join(int ranks, const nccl::UniqueId &id, int rank, Deadline deadline) {
  Call call{"nccl_init", ++sequence_, rank_, size_, 0, "", 0};
  nccl::Config config;
  nccl::Comm comm = nullptr;
  stream_.enter();
  nccl::Result state = library_.commInitRankConfig(&comm, ranks, id, rank, &config);
  if (comm)
    comms_.push_back(comm);
  return await(call, comm, state, deadline);
}

absl::StatusOr<CollectiveTicket> NcclCollectives::allGather(void *data, int64_t count, DType dtype,
                                                            Deadline deadline) {
  Call call = callOf("all_gather", bytesOfSlice(count, dtype), dtype);
  if (!broken_.ok())
    return call.broken(broken_);
  ORIEL_RETURN_IF_ERROR(stream_.followDevice());
  nccl::Result state = library_.allGather(sliceOf(data, rank_, call.bytes), data, static_cast<size_t>(count),
                                          typeOf(dtype), comms_[0], stream_.enter());
  ORIEL_RETURN_IF_ERROR(await(call, comms_[0], state, deadline));
  return issued(call);
}

absl::StatusOr<CollectiveTicket> NcclCollectives::reduceScatter(void *data, int64_t count, DType dtype,
                                                                Deadline deadline) {
  Call call = callOf("reduce_scatter", bytesOfSlice(count, dtype), dtype);
  if (!broken_.ok())
    return call.broken(broken_);
  if (dtype != DType::F32)
    return call.misused("only f32 is summed");
  ORIEL_RETURN_IF_ERROR(stream_.followDevice());
  if (order_ == SumOrder::Library) {
    nccl::Result state = library_.reduceScatter(data, sliceOf(data, rank_, call.bytes), static_cast<size_t>(count),
                                                nccl::float32Type, nccl::sum, comms_[0], stream_.enter());
    ORIEL_RETURN_IF_ERROR(await(call, comms_[0], state, deadline));
  }
  for (int level = 0; level < levels_; ++level)
    ORIEL_RETURN_IF_ERROR(await(call, comms_[static_cast<size_t>(1 + level)], addPairs(data, count, level), deadline));
  return issued(call);
}

/// Of the slices whose low `level` bits are this rank's, each goes to that one of the pair which has its next bit.
nccl::Result NcclCollectives::addPairs(void *data, int64_t count, int level) {
  nccl::Comm pair = comms_[static_cast<size_t>(1 + level)];
  void *stream = stream_.enter();
  nccl::Result first = library_.groupStart();
  for (int slice = rank_ & ((1 << level) - 1); slice < size_; slice += 1 << level) {
    void *at = sliceOf(data, slice, bytesOfSlice(count, DType::F32));
    nccl::Result state = library_.reduce(at, at, static_cast<size_t>(count), nccl::float32Type, nccl::sum,
                                         slice >> level & 1, pair, stream);
    first = first == nccl::success || first == nccl::inProgress ? state : first;
  }
  nccl::Result ended = library_.groupEnd();
  return first == nccl::success || first == nccl::inProgress ? ended : first;
}

absl::StatusOr<CollectiveTicket> NcclCollectives::issued(const Call &call) {
  absl::StatusOr<uint64_t> mark = stream_.mark();
  if (!mark.ok())
    return fail(mark.status());
  running_.push_back({*mark, call});
  if (observer_)
    watched_.push_back({*mark, monotonicSeconds(), 0});
  return *mark;
}

void NcclCollectives::watch(std::function<void(const CollectiveTimes &)> observer) {
  observer_ = std::move(observer);
  watched_.clear();
}

/// Collectives run one after the other: each begins when it was issued, or when the one before it ended.
void NcclCollectives::observe() {
  while (!watched_.empty()) {
    CollectiveTimes times = watched_.front();
    absl::StatusOr<bool> done = stream_.isDone(times.ticket);
    if (!done.ok() || !*done) // an error shows in whatever waits next
      return;
    watched_.pop_front();
    times.start = std::max(times.start, lastEnd_);
    times.end = lastEnd_ = monotonicSeconds();
    observer_(times);
  }
}

/// Polls until NCCL has taken what was issued on `comm`.
absl::Status NcclCollectives::await(const Call &call, nccl::Comm comm, nccl::Result state, Deadline deadline) {
  patience_ = deadline.span();
  AwakeDeadline patience(deadline);
  for (; state == nccl::inProgress; std::this_thread::sleep_for(pollPause)) {
    if (patience.expired())
      return fail(late(call, deadline));
    if (nccl::Result asked = library_.commGetAsyncError(comm, &state); asked != nccl::success)
      state = asked;
  }
  if (state != nccl::success)
    return fail(absl::UnavailableError(absl::StrCat(call.describe(), ": NCCL: ", library_.getErrorString(state))));
  return absl::OkStatus();
}

absl::Status NcclCollectives::finish(Deadline deadline) {
  Call call = running_.empty() ? Call{"finish", sequence_, rank_, size_, 0, "", 0} : running_.front().call;
  if (!broken_.ok())
    return call.broken(broken_);
  patience_ = deadline.span();
  AwakeDeadline patience(deadline);
  for (int polls = 0;; ++polls) {
    absl::StatusOr<bool> idle = stream_.deviceIsIdle();
    observe();
    if (!idle.ok())
      return fail(idle.status());
    ORIEL_RETURN_IF_ERROR(askForErrors(call));
    if (*idle)
      break;
    if (patience.expired() && !collectivesAreDone())
      return fail(late(call, deadline));
    if (polls > 1000) // a step without a collective to wait for ends sooner
      std::this_thread::sleep_for(pollPause);
  }
  while (!running_.empty() && running_.front().ticket <= awaited_)
    running_.pop_front();
  return absl::OkStatus();
}

/// Then the device only takes its time: no deadline counts for its own work.
bool NcclCollectives::collectivesAreDone() const {
  absl::StatusOr<bool> idle = stream_.isIdle();
  return running_.empty() || (idle.ok() && *idle);
}

absl::Status NcclCollectives::askForErrors(const Call &call) {
  for (nccl::Comm comm : comms_) {
    nccl::Result state = nccl::success;
    if (nccl::Result asked = library_.commGetAsyncError(comm, &state); asked != nccl::success)
      state = asked;
    if (state != nccl::success && state != nccl::inProgress)
      return fail(absl::UnavailableError(absl::StrCat(call.describe(), ": NCCL: ", library_.getErrorString(state))));
  }
  return absl::OkStatus();
}

absl::Status NcclCollectives::late(const Call &call, Deadline deadline) const {
  std::string others = running_.size() > 1 ? absl::StrCat(" (or a collective after it, to #", sequence_, ")") : "";
  return absl::DeadlineExceededError(
      absl::StrCat(call.describe(), others, ": not done within ", deadline.span(), " s"));
}

/// Aborts, which ends what is left on the stream, and says who does not answer: NCCL does not name the rank it lost.
absl::Status NcclCollectives::fail(absl::Status status) {
  for (nccl::Comm comm : comms_)
    library_.commAbort(comm);
  comms_.clear();
  absl::Status answered = host_.barrier(Deadline::after(std::min(patience_, mostRollCallSeconds)));
  broken_ = absl::Status(
      status.code(),
      absl::StrCat(status.message(), "; ", answered.ok() ? "all ranks still answer on the host" : answered.message()));
  return broken_;
}

} // namespace

absl::StatusOr<std::unique_ptr<DeviceCollectives>> createNcclCollectives(const nccl::Nccl &library, Communicator &host,
                                                                         CollectiveStream stream, SumOrder order,
                                                                         Deadline deadline) {
  auto collectives = std::make_unique<NcclCollectives>(library, host, std::move(stream), order);
  ORIEL_RETURN_IF_ERROR(collectives->connect(deadline));
  return collectives;
}

} // namespace oriel::runtime
