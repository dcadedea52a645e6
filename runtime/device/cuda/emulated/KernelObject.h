// kernels.so of an NVIDIA package: the LLVM IR that becomes the cubin, compiled for the host. Loading binds what it
// calls to Intrinsics.h.
//
// The library exports two tables, each ended by an entry without a name (written by
// compiler/codegen/nvidia/emulated/Retarget.cpp; the two structs below are the contract):
//   oriel_emulated_imports   what it calls; the loader fills in the addresses before any kernel runs
//   oriel_emulated_kernels   what it offers
// and, when it was compiled with checks, oriel_emulated_checks (AccessSites.h).
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_KERNELOBJECT_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_KERNELOBJECT_H

#include "runtime/device/cuda/emulated/AccessSites.h"

#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <string>

namespace oriel::runtime::emulated {

struct ImportEntry {
  const char *name;
  void *address;
};

struct KernelEntry {
  const char *name;
  void (*thread)(void *const *arguments); // what one CUDA thread runs
  int64_t argumentCount;                  // pointers to device memory, then tensor maps (of 128 bytes, by address)
  int64_t tensorMapCount;                 // of them
};

class KernelObject {
public:
  /// FailedPrecondition when the file is no such library, or calls a function that this build does not have.
  static absl::StatusOr<std::unique_ptr<KernelObject>> load(const std::string &path);
  ~KernelObject();
  KernelObject(const KernelObject &) = delete;
  KernelObject &operator=(const KernelObject &) = delete;

  /// Null when there is no kernel of that name.
  const KernelEntry *find(absl::string_view name) const;
  /// What a kernel that was compiled with checks announces; null for others.
  const CheckEntry *checksOf(absl::string_view name) const;

private:
  KernelObject(void *handle, const KernelEntry *kernels, const CheckEntry *checks)
      : handle_(handle), kernels_(kernels), checks_(checks) {}

  void *handle_;
  const KernelEntry *kernels_;
  const CheckEntry *checks_; // null without checks
};

} // namespace oriel::runtime::emulated

#endif
