// kernels.so of a package for the emulator: the LLVM IR that would become the cubin, compiled for the host. A kernel is
// bound to what it calls (Intrinsics.h) when it is asked for.
//
// The library exports, for each kernel NAME, a KernelEntry `oriel_emulated_NAME` (written by
// compiler/codegen/nvidia/emulated/Retarget.cpp; the structs below and of AccessSites.h are the contract).
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
  ImportEntry *imports;                   // what it calls, ended by an entry without a name: addresses for the loader to fill in
  const CheckEntry *checks;               // null: compiled without checks
};

class KernelObject {
public:
  /// FailedPrecondition when the file is no library.
  static absl::StatusOr<std::unique_ptr<KernelObject>> load(const std::string &path);
  ~KernelObject();
  KernelObject(const KernelObject &) = delete;
  KernelObject &operator=(const KernelObject &) = delete;

  /// NotFound when there is no emulated kernel of that name, FailedPrecondition when it calls a function that this build
  /// does not have. Not while another thread asks for the same library's kernels.
  absl::StatusOr<const KernelEntry *> find(absl::string_view name) const;

private:
  KernelObject(void *handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  void *handle_;
  std::string path_;
};

} // namespace oriel::runtime::emulated

#endif
