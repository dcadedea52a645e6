#include "tests/support/nccl/MockNccl.h"

#include "runtime/base/Files.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace oriel::runtime {

namespace {
std::mutex mutex;
MockFaults faults;

/// At once for readers, and not durable: the messages live for microseconds.
bool writeMessage(const std::string &path, absl::string_view bytes) {
  std::string unfinished = path + ".new";
  std::ofstream(unfinished, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return std::rename(unfinished.c_str(), path.c_str()) == 0;
}
} // namespace

namespace nccl {

/// `rank` of `size` in a folder with one file per rank that joined (its process id) and one per message under way.
struct Comm_ {
  std::string folder;
  int rank, size;
  uint64_t operations = 0;
  std::vector<pid_t> processes = {}; // of the ranks that are known to have joined, from rank 0 on

  std::string rankFile(int of) const { return folder + "/rank" + std::to_string(of); }
  std::string message(uint64_t operation, int of) const {
    return folder + "/" + std::to_string(operation) + "." + std::to_string(of);
  }
  /// What the rank wrote when it joined; 0 once it has left, -1 before.
  pid_t processOf(int of) const {
    auto text = readFile(rankFile(of));
    return text.ok() ? std::stoi(*text) : -1;
  }
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
  std::string folder = (std::filesystem::temp_directory_path() / "oriel-nccl-").string() + std::to_string(::getpid()) +
                       "-" + std::to_string(next++);
  folder.copy(id->bytes, sizeof id->bytes - 1);
  return success;
}

Result commInitRankConfig(Comm *comm, int ranks, UniqueId id, int rank, Config *config) {
  *comm = new Comm_{id.bytes, rank, ranks};
  if (!makeFolders(id.bytes).ok() || !writeMessage((*comm)->rankFile(rank), std::to_string(::getpid())))
    return 2;
  return config->blocking == 0 ? inProgress : 5;
}

bool isAlive(pid_t process) { return ::kill(process, 0) == 0; }

/// Whether all ranks have joined; a rank whose process ended without leaving is an error.
Result commGetAsyncError(Comm comm, Result *state) {
  for (int rank = static_cast<int>(comm->processes.size()); rank < comm->size; ++rank) {
    pid_t process = comm->processOf(rank);
    if (process < 0)
      return *state = inProgress, success;
    comm->processes.push_back(process);
  }
  std::lock_guard lock(mutex);
  *state = faults.asyncError;
  for (int rank = 0; rank < comm->size; ++rank)
    if (!isAlive(comm->processes[static_cast<size_t>(rank)]) && comm->processOf(rank) > 0)
      *state = remoteError;
  return success;
}

/// Marks the rank as one that left; the last one clears up.
Result commDestroy(Comm comm) {
  bool last = writeMessage(comm->rankFile(comm->rank), "0");
  for (int rank = 0; rank < comm->size; ++rank)
    if (pid_t process = comm->processOf(rank); process > 0 && isAlive(process))
      last = false;
  std::error_code ignored;
  if (last)
    std::filesystem::remove_all(comm->folder, ignored);
  delete comm;
  return success;
}

const char *getErrorString(Result result) { return result == remoteError ? "remote process exited" : "mock error"; }

using Messages = std::vector<std::string>;

/// Sends `bytes` bytes and, once all ranks have, hands everything to `receive`. When this operation is done here, every
/// rank has sent its part of it, and so has read what belongs to the one before: our part of that can go.
template <typename Receive> Result exchange(const void *send, size_t bytes, Comm comm, void *stream, Receive receive) {
  auto messages = std::make_shared<Messages>();
  auto posted = std::make_shared<bool>(false);
  auto work = [=, comm = *comm, operation = comm->operations++](WorkerPool &) -> std::string {
    if (!*posted && !writeMessage(comm.message(operation, comm.rank), {static_cast<const char *>(send), bytes}))
      return "mock NCCL: " + comm.folder + " is gone";
    *posted = true;
    for (int rank = static_cast<int>(messages->size()); rank < comm.size; ++rank) {
      auto message = readFile(comm.message(operation, rank));
      if (!message.ok())
        return emulated::stillWaiting;
      messages->push_back(*std::move(message));
    }
    receive(*messages);
    std::error_code ignored;
    if (operation > 0)
      std::filesystem::remove(comm.message(operation - 1, comm.rank), ignored);
    return "";
  };
  return emulated::enqueueHostWork(static_cast<cuda::Stream>(stream), work) == cuda::success ? success : 1;
}

size_t bytesOfType(int type) { return type == bfloat16Type ? 2 : 4; }

/// `count` floats from float `first` of every message on, added in the order of ranks.
void addTo(float *sums, const Messages &messages, size_t first, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    float total = reinterpret_cast<const float *>(messages[0].data())[first + i];
    for (size_t rank = 1; rank < messages.size(); ++rank)
      total += reinterpret_cast<const float *>(messages[rank].data())[first + i];
    sums[i] = total;
  }
}

Result allGather(const void *send, void *receive, size_t count, int type, Comm comm, void *stream) {
  size_t bytes = count * bytesOfType(type);
  return exchange(send, bytes, comm, stream, [receive, bytes](const Messages &messages) {
    for (size_t rank = 0; rank < messages.size(); ++rank)
      std::memcpy(static_cast<char *>(receive) + rank * bytes, messages[rank].data(), bytes);
  });
}

Result reduceScatter(const void *send, void *receive, size_t count, int, int operation, Comm comm, void *stream) {
  if (operation != sum)
    return 4;
  size_t whole = count * sizeof(float) * static_cast<size_t>(comm->size);
  return exchange(send, whole, comm, stream, [receive, count, rank = comm->rank](const Messages &messages) {
    addTo(static_cast<float *>(receive), messages, static_cast<size_t>(rank) * count, count);
  });
}

Result reduce(const void *send, void *receive, size_t count, int, int operation, int root, Comm comm, void *stream) {
  if (operation != sum)
    return 4;
  return exchange(send, count * sizeof(float), comm, stream,
                  [receive, count, here = root == comm->rank](const Messages &messages) {
                    if (here)
                      addTo(static_cast<float *>(receive), messages, 0, count);
                  });
}

Result group() { return success; }

} // namespace

void setMockFaults(const MockFaults &wanted) {
  std::lock_guard lock(mutex);
  faults = wanted;
}

const nccl::Nccl &mockNccl() {
  static const nccl::Nccl table = {getUniqueId,
                                   commInitRankConfig,
                                   commGetAsyncError,
                                   commDestroy /* abort */,
                                   commDestroy,
                                   getErrorString,
                                   allGather,
                                   reduceScatter,
                                   reduce,
                                   group,
                                   group};
  return table;
}

} // namespace oriel::runtime
