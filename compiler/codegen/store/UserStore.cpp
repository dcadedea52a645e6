// A stale entry, one that other code generators have made, would be a wrong answer that nobody sees. There is none: every
// program links the generators as the static libraries whose bytes generatedHash is of (CMakeLists.txt: it is made after
// they are, and a program is linked after both), the rest of them is LLVM and MLIR, shared libraries that a linker named
// when it made them, and all of it is in every key.
#include "compiler/codegen/store/UserStore.h"

#include "runtime/base/CacheFolder.h"

#include "llvm/ADT/StringExtras.h"

#include <elf.h>
#include <link.h>
#include <map>

namespace oriel::codegen {

extern const char *const generatedHash; // in the file that the build makes

using Ids = std::map<std::string, std::string>; // by the library they are of

/// The description of the note that the linker identifies a library by; empty where there is none.
static llvm::StringRef buildIdOf(const dl_phdr_info &library) {
  for (const ElfW(Phdr) &segment : llvm::ArrayRef(library.dlpi_phdr, library.dlpi_phnum)) {
    if (segment.p_type != PT_NOTE)
      continue;
    llvm::StringRef notes(reinterpret_cast<const char *>(library.dlpi_addr + segment.p_vaddr), segment.p_memsz);
    while (notes.size() > sizeof(ElfW(Nhdr))) {
      const auto *note = reinterpret_cast<const ElfW(Nhdr) *>(notes.data());
      notes = notes.drop_front(sizeof(*note));
      llvm::StringRef name = notes.take_front(note->n_namesz);
      notes = notes.drop_front(std::min<size_t>((note->n_namesz + 3) / 4 * 4, notes.size()));
      llvm::StringRef description = notes.take_front(note->n_descsz);
      notes = notes.drop_front(std::min<size_t>((note->n_descsz + 3) / 4 * 4, notes.size()));
      if (note->n_type == NT_GNU_BUILD_ID && name == llvm::StringRef("GNU\0", 4))
        return description;
    }
  }
  return {};
}

static int addId(dl_phdr_info *library, size_t, void *into) {
  llvm::StringRef path = library->dlpi_name;
  for (const char *name : {"libLLVM", "libMLIR"})
    if (path.contains(name))
      (*static_cast<Ids *>(into))[name] = llvm::toHex(buildIdOf(*library));
  return 0;
}

std::string hashOfGenerators() {
  Ids ids;
  dl_iterate_phdr(&addId, &ids);
  if (ids["libLLVM"].empty() || ids["libMLIR"].empty())
    return {};
  return std::string(generatedHash) + " " + ids["libLLVM"] + " " + ids["libMLIR"];
}

const KernelStore &userStore() {
  static const std::string cache = runtime::cacheFolder();
  static const KernelStore store(cache.empty() ? "" : cache + "/kernels", hashOfGenerators());
  return store;
}

} // namespace oriel::codegen
