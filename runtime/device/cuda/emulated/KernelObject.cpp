#include "runtime/device/cuda/emulated/KernelObject.h"

#include "runtime/base/Status.h"
#include "runtime/device/cuda/emulated/Intrinsics.h"

#include "absl/strings/str_cat.h"

#include <dlfcn.h>

namespace oriel::runtime::emulated {

static absl::Status bind(ImportEntry *imports) {
  for (; imports->name; ++imports) {
    imports->address = intrinsicNamed(imports->name);
    if (!imports->address)
      return absl::FailedPreconditionError(absl::StrCat(
          "calls '", imports->name, "', which the emulator of this build does not have; compile the package again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<KernelObject>> KernelObject::load(const std::string &path) {
  // A path with no slash would be searched for in the library path.
  std::string address = path.find('/') == std::string::npos ? "./" + path : path;
  void *handle = ::dlopen(address.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return absl::FailedPreconditionError(absl::StrCat("cannot load emulated kernels: ", ::dlerror()));
  auto *imports = static_cast<ImportEntry *>(::dlsym(handle, "oriel_emulated_imports"));
  auto *kernels = static_cast<const KernelEntry *>(::dlsym(handle, "oriel_emulated_kernels"));
  auto *checks = static_cast<const CheckEntry *>(::dlsym(handle, "oriel_emulated_checks"));
  std::unique_ptr<KernelObject> object(new KernelObject(handle, kernels, checks));
  if (!imports || !kernels)
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has no emulated kernels: it was compiled for another target than nvidia"));
  ORIEL_RETURN_IF_ERROR(withContext(bind(imports), path));
  return object;
}

KernelObject::~KernelObject() { ::dlclose(handle_); }

const KernelEntry *KernelObject::find(absl::string_view name) const {
  for (const KernelEntry *kernel = kernels_; kernel->name; ++kernel)
    if (kernel->name == name)
      return kernel;
  return nullptr;
}

const CheckEntry *KernelObject::checksOf(absl::string_view name) const {
  for (const CheckEntry *check = checks_; check && check->kernel; ++check)
    if (check->kernel == name)
      return check;
  return nullptr;
}

} // namespace oriel::runtime::emulated
