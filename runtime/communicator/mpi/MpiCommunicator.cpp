// Posts sends and receives, then polls. See the header for why no MPI collective is used.
#include "runtime/communicator/mpi/MpiCommunicator.h"

#include "runtime/base/AwakeClock.h"
#include "runtime/base/Status.h"
#include "runtime/communicator/Call.h"
#include "runtime/communicator/TreeOrder.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

namespace oriel::runtime {

namespace {

constexpr int64_t pieceBytes = int64_t(1) << 30;
constexpr int tags = 32768; // what the standard promises (MPI_TAG_UB is at least this - 1)
constexpr double finalizeSeconds = 10;

/// The one converter from MPI's codes.
absl::Status mpiStatus(int code, absl::string_view what) {
  if (code == MPI_SUCCESS)
    return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return absl::UnavailableError(absl::StrCat(what, ": ", absl::string_view(text, static_cast<size_t>(length))));
}

/// Gives the core away more and more while nothing happens: ranks may share cores with each other.
class Backoff {
public:
  void progressed() { polls_ = 0; }
  void pause() {
    ++polls_;
    if (polls_ > 20000)
      ::usleep(50);
    else if (polls_ > 200)
      ::sched_yield();
  }

private:
  int polls_ = 0;
};

class MpiCommunicator final : public Communicator {
public:
  MpiCommunicator(MPI_Comm comm, int rank, int size) : comm_(comm), rank_(rank), size_(size), parts_(size) {
    requests_.reserve(2 * size);
    peers_.reserve(2 * size);
    finished_.resize(2 * size);
    statuses_.resize(2 * size);
  }
  ~MpiCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  absl::string_view backend() const override { return "mpi"; }

  absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) override {
    int64_t bytes = count * static_cast<int64_t>(bytesOf(dtype));
    return exchangeSlices(begin("all_gather", bytes, nameOf(dtype)), data, bytes, deadline);
  }
  absl::Status reduceScatterTree(void *data, void *scratch, int64_t count, DType dtype, Deadline deadline) override;
  absl::Status broadcast(void *data, int64_t bytes, int root, Deadline deadline) override;
  absl::Status barrier(Deadline deadline) override {
    return exchangeSlices(begin("barrier", 0, ""), nullptr, 0, deadline);
  }
  absl::StatusOr<std::vector<std::string>> allGatherBytes(absl::string_view message, Deadline deadline) override;

private:
  static std::byte *at(void *data, int64_t bytes) { return static_cast<std::byte *>(data) + bytes; }

  Call begin(const char *op, int64_t bytes, const char *dtype) {
    return {op, ++sequence_, rank_, size_, bytes, dtype, 0};
  }
  int tag() const { return static_cast<int>(sequence_ % tags); }
  /// The next `distance` th rank after this one, so that not all send to rank 0 first.
  int peerAt(int distance) const { return (rank_ + distance) % size_; }

  void send(const void *data, int64_t bytes, int peer);
  void receive(void *data, int64_t bytes, int peer);
  absl::Status wait(const Call &call, Deadline deadline);
  absl::Status exchangeSlices(const Call &call, void *data, int64_t bytes, Deadline deadline);
  absl::Status finish(const Call &call, absl::Status status);

  MPI_Comm comm_;
  int rank_, size_;
  uint64_t sequence_ = 0;
  absl::Status broken_;
  int postError_ = MPI_SUCCESS;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_; // of each request
  std::vector<int> finished_;
  std::vector<MPI_Status> statuses_;
  std::vector<float *> parts_;
};

void MpiCommunicator::send(const void *data, int64_t bytes, int peer) {
  do {
    int64_t piece = std::min(bytes, pieceBytes);
    requests_.emplace_back();
    peers_.push_back(peer);
    int code = MPI_Isend(data, static_cast<int>(piece), MPI_BYTE, peer, tag(), comm_, &requests_.back());
    postError_ = postError_ == MPI_SUCCESS ? code : postError_;
    data = static_cast<const std::byte *>(data) + piece;
    bytes -= piece;
  } while (bytes > 0);
}

void MpiCommunicator::receive(void *data, int64_t bytes, int peer) {
  do {
    int64_t piece = std::min(bytes, pieceBytes);
    requests_.emplace_back();
    peers_.push_back(peer);
    int code = MPI_Irecv(data, static_cast<int>(piece), MPI_BYTE, peer, tag(), comm_, &requests_.back());
    postError_ = postError_ == MPI_SUCCESS ? code : postError_;
    data = static_cast<std::byte *>(data) + piece;
    bytes -= piece;
  } while (bytes > 0);
}

/// Polls the posted requests until all are done, one fails or the deadline passes.
absl::Status MpiCommunicator::wait(const Call &call, Deadline deadline) {
  if (postError_ != MPI_SUCCESS)
    return mpiStatus(postError_, call.describe());
  int count = static_cast<int>(requests_.size());
  finished_.resize(std::max(finished_.size(), requests_.size()));
  statuses_.resize(finished_.size());
  Backoff backoff;
  AwakeDeadline patience(deadline);
  for (int left = count; left > 0;) {
    int done = 0;
    int code = MPI_Testsome(count, requests_.data(), &done, finished_.data(), statuses_.data());
    if (code != MPI_SUCCESS)
      return mpiStatus(code == MPI_ERR_IN_STATUS ? statuses_[0].MPI_ERROR : code, call.describe());
    if (done > 0 && done != MPI_UNDEFINED) {
      left -= done;
      backoff.progressed();
      continue;
    }
    if (patience.expired()) {
      std::vector<int> late;
      for (int i = 0; i < count; ++i)
        if (requests_[i] != MPI_REQUEST_NULL && std::find(late.begin(), late.end(), peers_[i]) == late.end())
          late.push_back(peers_[i]);
      std::sort(late.begin(), late.end());
      return call.timedOut(late, deadline);
    }
    backoff.pause();
  }
  return absl::OkStatus();
}

/// Ends a call: forgets its requests and remembers a failure for good.
absl::Status MpiCommunicator::finish(const Call &call, absl::Status status) {
  requests_.clear();
  peers_.clear();
  if (!status.ok() && broken_.ok())
    broken_ = status;
  return status;
}

/// Every rank sends its slice to every other.
absl::Status MpiCommunicator::exchangeSlices(const Call &call, void *data, int64_t bytes, Deadline deadline) {
  if (!broken_.ok())
    return call.broken(broken_);
  for (int distance = 1; distance < size_; ++distance)
    receive(at(data, peerAt(distance) * bytes), bytes, peerAt(distance));
  for (int distance = 1; distance < size_; ++distance)
    send(at(data, rank_ * bytes), bytes, peerAt(distance));
  return finish(call, wait(call, deadline));
}

absl::Status MpiCommunicator::reduceScatterTree(void *data, void *scratch, int64_t count, DType dtype,
                                                Deadline deadline) {
  int64_t bytes = count * static_cast<int64_t>(bytesOf(dtype));
  Call call = begin("reduce_scatter_tree", bytes, nameOf(dtype));
  if (!broken_.ok())
    return call.broken(broken_);
  if (dtype != DType::F32)
    return call.misused("only f32 is summed");
  // As many bytes cross the wire as in a ring, and every slice is added in one place in one order.
  for (int peer = 0, received = 0; peer < size_; ++peer)
    parts_[peer] = reinterpret_cast<float *>(peer == rank_ ? at(data, rank_ * bytes) : at(scratch, bytes * received++));
  for (int distance = 1; distance < size_; ++distance)
    receive(parts_[peerAt(distance)], bytes, peerAt(distance));
  for (int distance = 1; distance < size_; ++distance)
    send(at(data, peerAt(distance) * bytes), bytes, peerAt(distance));
  ORIEL_RETURN_IF_ERROR(finish(call, wait(call, deadline)));
  addInTreeOrder(parts_, count);
  if (rank_ != 0)
    std::copy_n(parts_[0], count, parts_[rank_]);
  return absl::OkStatus();
}

absl::Status MpiCommunicator::broadcast(void *data, int64_t bytes, int root, Deadline deadline) {
  Call call = begin("broadcast", bytes, "");
  call.root = root;
  if (!broken_.ok())
    return call.broken(broken_);
  if (root < 0 || root >= size_)
    return call.misused(absl::StrCat("root is ", root));
  if (rank_ != root)
    receive(data, bytes, root);
  else
    for (int distance = 1; distance < size_; ++distance)
      send(data, bytes, peerAt(distance));
  return finish(call, wait(call, deadline));
}

absl::StatusOr<std::vector<std::string>> MpiCommunicator::allGatherBytes(absl::string_view message, Deadline deadline) {
  Call call = begin("all_gather_bytes", 0, "");
  std::vector<int64_t> lengths(size_);
  lengths[rank_] = static_cast<int64_t>(message.size());
  ORIEL_RETURN_IF_ERROR(exchangeSlices(call, lengths.data(), sizeof(int64_t), deadline));
  std::vector<std::string> messages(size_);
  messages[rank_] = std::string(message);
  call = begin("all_gather_bytes", *std::max_element(lengths.begin(), lengths.end()), "");
  for (int distance = 1; distance < size_; ++distance) {
    int peer = peerAt(distance);
    messages[peer].resize(static_cast<size_t>(lengths[peer]));
    receive(messages[peer].data(), lengths[peer], peer);
  }
  for (int distance = 1; distance < size_; ++distance)
    send(messages[rank_].data(), lengths[rank_], peerAt(distance));
  ORIEL_RETURN_IF_ERROR(finish(call, wait(call, deadline)));
  return messages;
}

MpiCommunicator::~MpiCommunicator() {
  // MPI_Finalize waits for all ranks without a limit, so they meet here first.
  if (!broken_.ok() || !barrier(Deadline::after(finalizeSeconds)).ok())
    return;
  MPI_Comm_free(&comm_);
  MPI_Finalize();
}

} // namespace

absl::StatusOr<std::unique_ptr<Communicator>> createMpiCommunicator() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized)
    return absl::FailedPreconditionError("MPI is already initialised: one world communicator per process");
  int provided = 0;
  ORIEL_RETURN_IF_ERROR(
      mpiStatus(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
  MPI_Comm comm = MPI_COMM_NULL;
  ORIEL_RETURN_IF_ERROR(mpiStatus(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup"));
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  int rank = 0, size = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  return std::make_unique<MpiCommunicator>(comm, rank, size);
}

} // namespace oriel::runtime
