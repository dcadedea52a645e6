#include "runtime/device/cuda/emulated/KernelObject.h"

#include "runtime/base/Status.h"
#include "runtime/device/cuda/emulated/Intrinsics.h"

#include "absl/strings/str_cat.h"

#include <dlfcn.h>

namespace oriel::runtime::emulated {

/// Kernels of one object file share their imports: what was bound for one of them stays as it is.
static absl::Status bind(ImportEntry *imports) {
  for (; imports->name; ++imports) {
    if (imports->address)
      continue;
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
  return std::unique_ptr<KernelObject>(new KernelObject(handle, path));
}

KernelObject::~KernelObject() { ::dlclose(handle_); }

absl::StatusOr<const KernelEntry *> KernelObject::find(absl::string_view name) const {
  auto *entry = static_cast<const KernelEntry *>(::dlsym(handle_, absl::StrCat("oriel_emulated_", name).c_str()));
  if (!entry)
    return absl::NotFoundError(absl::StrCat(path_, " has no kernel '", name, "' for the emulator"));
  ORIEL_RETURN_IF_ERROR(withContext(bind(entry->imports), absl::StrCat(path_, ": ", name)));
  return entry;
}

} // namespace oriel::runtime::emulated
