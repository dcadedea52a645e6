#include "tests/unit/runtime/communicator/nccl/MockNccl.h"

#include "runtime/device/cuda/emulated/EmulatedDriver.h"

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace oriel::runtime {

namespace {

std::mutex mutex;
MockFaults faults;

/// One communicator of several ranks: what each has sent, by the number of the operation.
struct Group {
  explicit Group(int size) : size(size) {}
  const int size;
  int joined = 0;
  std::map<uint64_t, std::vector<std::shared_ptr<std::string>>> sent;
};

std::map<std::string, std::shared_ptr<Group>> groups; // by id

} // namespace

namespace nccl {
struct Comm_ {
  std::shared_ptr<Group> group;
  int rank;
  uint64_t operations = 0;
};
} // namespace nccl

namespace {

using namespace nccl;

Result getUniqueId(UniqueId *id) {
  static int next = 0;
  std::lock_guard lock(mutex);
  if (faults.noId)
    return 2;
  std::memset(id->bytes, 0, sizeof id->bytes);
  std::snprintf(id->bytes, sizeof id->bytes, "mock %d", next++);
  return success;
}

Result commInitRankConfig(Comm *comm, int ranks, UniqueId id, int rank, Config *config) {
  std::lock_guard lock(mutex);
  std::shared_ptr<Group> &group = groups[id.bytes];
  if (!group)
    group = std::make_shared<Group>(ranks);
  ++group->joined;
  *comm = new Comm_{group, rank};
  return config->blocking == 0 ? inProgress : 5;
}

Result commGetAsyncError(Comm comm, Result *state) {
  std::lock_guard lock(mutex);
  *state = comm->group->joined < comm->group->size ? inProgress : faults.asyncError;
  return success;
}

Result commDestroy(Comm comm) {
  delete comm;
  return success;
}

const char *getErrorString(Result result) { return result == remoteError ? "remote process exited" : "mock error"; }

/// Sends `bytes` bytes and, once all ranks have, hands everything to `receive`.
template <typename Receive> Result exchange(const void *send, size_t bytes, Comm comm, void *stream, Receive receive) {
  auto posted = std::make_shared<bool>(false);
  return emulated::enqueueHostWork(static_cast<cuda::Stream>(stream),
                                   [group = comm->group, rank = comm->rank, operation = comm->operations++, send, bytes,
                                    posted, receive](WorkerPool &) -> std::string {
                                     std::lock_guard lock(mutex);
                                     auto &sent = group->sent[operation];
                                     sent.resize(static_cast<size_t>(group->size));
                                     if (!*posted)
                                       sent[static_cast<size_t>(rank)] =
                                           std::make_shared<std::string>(static_cast<const char *>(send), bytes);
                                     *posted = true;
                                     for (const auto &message : sent)
                                       if (!message)
                                         return emulated::stillWaiting;
                                     receive(sent);
                                     return "";
                                   });
}

size_t bytesOfType(int type) { return type == bfloat16Type ? 2 : 4; }

Result allGather(const void *send, void *receive, size_t count, int type, Comm comm, void *stream) {
  size_t bytes = count * bytesOfType(type);
  return exchange(send, bytes, comm, stream, [receive, bytes](const auto &sent) {
    for (size_t rank = 0; rank < sent.size(); ++rank)
      std::memcpy(static_cast<char *>(receive) + rank * bytes, sent[rank]->data(), bytes);
  });
}

Result reduceScatter(const void *send, void *receive, size_t count, int, int operation, Comm comm, void *stream) {
  if (operation != sum)
    return 4;
  size_t whole = count * sizeof(float) * static_cast<size_t>(comm->group->size);
  return exchange(send, whole, comm, stream, [receive, count, rank = comm->rank](const auto &sent) {
    for (size_t i = 0; i < count; ++i) {
      float total = 0;
      for (const auto &message : sent)
        total += reinterpret_cast<const float *>(message->data())[static_cast<size_t>(rank) * count + i];
      static_cast<float *>(receive)[i] = total;
    }
  });
}

} // namespace

void setMockFaults(const MockFaults &wanted) {
  std::lock_guard lock(mutex);
  faults = wanted;
}

const nccl::Nccl &mockNccl() {
  static const nccl::Nccl table = {getUniqueId, commInitRankConfig, commGetAsyncError, commDestroy /* abort */,
                                   commDestroy, getErrorString,     allGather,         reduceScatter};
  return table;
}

} // namespace oriel::runtime
