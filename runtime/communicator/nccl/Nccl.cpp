#include "runtime/communicator/nccl/Nccl.h"

#include "absl/strings/str_cat.h"

#include <dlfcn.h>

namespace oriel::runtime::nccl {

template <typename F> static bool find(void *library, F *&function, const char *name) {
  function = reinterpret_cast<F *>(::dlsym(library, name));
  return function;
}

absl::StatusOr<Nccl> openNccl() {
  constexpr const char *name = "libnccl.so.2";
  void *library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL); // never closed: it keeps threads
  if (!library)
    return absl::NotFoundError(absl::StrCat("no NCCL found (", name,
                                            "): install it, name its folder in "
                                            "LD_LIBRARY_PATH, or set distributed.collectives = \"host\""));
  Nccl table = {};
  bool complete =
      find(library, table.getUniqueId, "ncclGetUniqueId") &&
      find(library, table.commInitRankConfig, "ncclCommInitRankConfig") &&
      find(library, table.commGetAsyncError, "ncclCommGetAsyncError") &&
      find(library, table.commAbort, "ncclCommAbort") && find(library, table.commDestroy, "ncclCommDestroy") &&
      find(library, table.getErrorString, "ncclGetErrorString") && find(library, table.allGather, "ncclAllGather") &&
      find(library, table.reduceScatter, "ncclReduceScatter") && find(library, table.reduce, "ncclReduce") &&
      find(library, table.groupStart, "ncclGroupStart") && find(library, table.groupEnd, "ncclGroupEnd");
  if (!complete)
    return absl::FailedPreconditionError(absl::StrCat(name, " is older than NCCL 2.14"));
  return table;
}

} // namespace oriel::runtime::nccl
