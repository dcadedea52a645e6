// The mock as a libnccl.so.2, for programs that open NCCL by that name: LD_LIBRARY_PATH=<its folder>.
#include "tests/support/nccl/MockNccl.h"

using namespace oriel::runtime::nccl;
using oriel::runtime::mockNccl;

extern "C" {

Result ncclGetUniqueId(UniqueId *id) { return mockNccl().getUniqueId(id); }
Result ncclCommInitRankConfig(Comm *comm, int ranks, UniqueId id, int rank, Config *config) {
  return mockNccl().commInitRankConfig(comm, ranks, id, rank, config);
}
Result ncclCommGetAsyncError(Comm comm, Result *state) { return mockNccl().commGetAsyncError(comm, state); }
Result ncclCommAbort(Comm comm) { return mockNccl().commAbort(comm); }
Result ncclCommDestroy(Comm comm) { return mockNccl().commDestroy(comm); }
const char *ncclGetErrorString(Result result) { return mockNccl().getErrorString(result); }
Result ncclAllGather(const void *send, void *receive, size_t count, int type, Comm comm, void *stream) {
  return mockNccl().allGather(send, receive, count, type, comm, stream);
}
Result ncclReduceScatter(const void *send, void *receive, size_t count, int type, int operation, Comm comm,
                         void *stream) {
  return mockNccl().reduceScatter(send, receive, count, type, operation, comm, stream);
}
Result ncclReduce(const void *send, void *receive, size_t count, int type, int operation, int root, Comm comm,
                  void *stream) {
  return mockNccl().reduce(send, receive, count, type, operation, root, comm, stream);
}
Result ncclGroupStart() { return mockNccl().groupStart(); }
Result ncclGroupEnd() { return mockNccl().groupEnd(); }
}
