// The twelve functions of NCCL that DeviceCollectives are made of, as a table: the library's own, opened at run time,
// or a mock's in tests. Types and numbers are NCCL's (2.14 and later), declared here so that a build needs no NCCL.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCL_H
#define ORIEL_RUNTIME_COMMUNICATOR_NCCL_NCCL_H

#include "absl/status/statusor.h"

#include <cstddef>

namespace oriel::runtime::nccl {

using Result = int; // ncclResult_t
constexpr Result success = 0, remoteError = 6, inProgress = 7;
constexpr int int32Type = 2, float32Type = 7, bfloat16Type = 9; // ncclDataType_t
constexpr int sum = 0;                                          // ncclRedOp_t

using Comm = struct Comm_ *;
struct UniqueId {
  char bytes[128];
};
/// The part of ncclConfig_t that version 2.14 has; later libraries know by `size` and `version` what is missing.
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
};

struct Nccl {
  Result (*getUniqueId)(UniqueId *);
  Result (*commInitRankConfig)(Comm *, int ranks, UniqueId, int rank, Config *);
  Result (*commGetAsyncError)(Comm, Result *);
  Result (*commAbort)(Comm);
  Result (*commDestroy)(Comm);
  const char *(*getErrorString)(Result);
  Result (*allGather)(const void *send, void *receive, size_t count, int type, Comm, void *stream);
  Result (*reduceScatter)(const void *send, void *receive, size_t count, int type, int operation, Comm, void *stream);
  Result (*reduce)(const void *send, void *receive, size_t count, int type, int operation, int root, Comm,
                   void *stream);
  Result (*groupStart)();
  Result (*groupEnd)();
};

/// NotFound: "no NCCL found (libnccl.so.2) …"; FailedPrecondition when it is older than 2.14.
absl::StatusOr<Nccl> openNccl();

} // namespace oriel::runtime::nccl

#endif
