// What an emulated kernel that was compiled with checks says of itself: every instruction that touches
// memory, and the buffers that it takes. Written by compiler/codegen/nvidia/emulated/AccessChecks.cpp; part of a kernel's
// KernelEntry (KernelObject.h).
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_ACCESSSITES_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_ACCESSSITES_H

#include <cstdint>

namespace oriel::runtime::emulated {

enum class AccessKind : int32_t {
  SharedLoad = 0,
  SharedStore = 1,
  MatrixLoad = 2,  // ldmatrix: one row of 16 bytes
  ProductRead = 3, // wgmma: its operands, in shared memory; all lanes of a warp must be here together
  CopyTarget = 4,  // cp.async: where it writes, in shared memory
  CopySource = 5,  // cp.async: what it reads, in global memory
  GlobalLoad = 6,
  GlobalStore = 7,
  AccumulatorRead = 8, // a register that wgmma has given and no wait
  Convergence = 9,     // no access: all lanes of a warp must be here together (barrier, mma.sync, shfl.sync …)
  BulkCopy = 10,       // cp.async.bulk.tensor: reads global memory and writes shared memory by itself
  MbarrierInit = 11,   // mbarrier.init: writes 8 bytes of shared memory
  MbarrierUse = 12,    // arrives at or waits for an mbarrier
};

inline bool isShared(AccessKind kind) {
  return kind <= AccessKind::CopyTarget || kind == AccessKind::MbarrierInit || kind == AccessKind::MbarrierUse;
}
inline bool isWrite(AccessKind kind) {
  return kind == AccessKind::SharedStore || kind == AccessKind::CopyTarget || kind == AccessKind::GlobalStore ||
         kind == AccessKind::MbarrierInit;
}

/// An instruction; its number is its place in the table.
struct SiteEntry {
  const char *op; // the tile op that it was made for, a line of the kernel's text
  AccessKind kind;
  int32_t buffer; // of a global access: the argument that its address was made of; -1: not known
};

struct BufferEntry {
  const char *type; // "memref<64x32xf32>"
  int64_t bytes;
  int64_t isOutput;
};

struct CheckEntry {
  const char *kernel;
  const SiteEntry *sites;
  int64_t siteCount;
  const BufferEntry *buffers; // one for each argument
  int64_t bufferCount;
};

} // namespace oriel::runtime::emulated

#endif
