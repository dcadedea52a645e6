// The table of runtime/communicator/nccl/Nccl.h against an installed nccl.h. Only built where there is one; whatever
// differs does not compile.
#include "runtime/communicator/nccl/Nccl.h"

#include <nccl.h>

#include <type_traits>

namespace oriel::runtime::nccl {
namespace {

template <typename A, typename B>
constexpr bool sameArgument = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;

template <typename R1, typename... A1, typename R2, typename... A2>
constexpr bool sameCall(R1 (*)(A1...), R2 (*)(A2...)) {
  if constexpr (sizeof...(A1) != sizeof...(A2))
    return false;
  else
    return sizeof(R1) == sizeof(R2) && (sameArgument<A1, A2> && ...);
}

#define ORIEL_SAME(member, function)                                                                                   \
  static_assert(sameCall(decltype(Nccl::member){}, static_cast<decltype(&function)>(nullptr)), #function)
ORIEL_SAME(getUniqueId, ncclGetUniqueId);
ORIEL_SAME(commInitRankConfig, ncclCommInitRankConfig);
ORIEL_SAME(commGetAsyncError, ncclCommGetAsyncError);
ORIEL_SAME(commAbort, ncclCommAbort);
ORIEL_SAME(commDestroy, ncclCommDestroy);
ORIEL_SAME(getErrorString, ncclGetErrorString);
ORIEL_SAME(allGather, ncclAllGather);
ORIEL_SAME(reduceScatter, ncclReduceScatter);
ORIEL_SAME(reduce, ncclReduce);
ORIEL_SAME(groupStart, ncclGroupStart);
ORIEL_SAME(groupEnd, ncclGroupEnd);
#undef ORIEL_SAME

static_assert(success == ncclSuccess && remoteError == ncclRemoteError && inProgress == ncclInProgress &&
              int32Type == ncclInt32 && float32Type == ncclFloat32 && bfloat16Type == ncclBfloat16 && sum == ncclSum);
static_assert(sizeof(UniqueId) == sizeof(ncclUniqueId) && offsetof(Config, magic) == offsetof(ncclConfig_t, magic) &&
              offsetof(Config, version) == offsetof(ncclConfig_t, version) &&
              offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking));

} // namespace
} // namespace oriel::runtime::nccl
