// Machine code of kernels, kept between compilations: a kernel that was compiled before is taken from here.
//
//   FOLDER/KEY     what was kept under a key, sealed by a checksum
//   FOLDER/swept   when somebody last made room
//
// A key is the hash of everything that the code is a function of: the whole text of the kernel, what the caller says of
// the target and of the tools that it uses, and the maker: the machine code of the code generators themselves
// (UserStore.h). So code is never taken for another kernel, for another target, or from another code generator.
//
// Any number of compilers may use a folder at once: entries appear whole, by rename, and never change. A damaged entry is
// one that is not there; a folder that cannot be read or written keeps nothing, without an error.
//
// The folder is bounded. Whoever keeps something while nobody has made room for an hour removes what was not used for
// a month and then, while the rest is larger than allowed, what was used least recently (to the day).
#ifndef ORIEL_COMPILER_CODEGEN_STORE_KERNELSTORE_H
#define ORIEL_COMPILER_CODEGEN_STORE_KERNELSTORE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oriel::tile {
class KernelOp;
}

namespace oriel::codegen {

/// Thread safe.
class KernelStore {
public:
  using Parts = std::vector<std::string>;
  static constexpr int64_t mostBytesOfUser = int64_t(2) << 30;

  /// Keeps nothing where `folder` or `maker` is empty.
  KernelStore(std::string folder, std::string maker, int64_t mostBytes = mostBytesOfUser)
      : folder_(std::move(folder)), maker_(std::move(maker)), mostBytes_(mostBytes) {}
  KernelStore() : KernelStore("", "") {}

  /// Of `kernel` under its name, without its locations, compiled as `how` says: every fact that its code depends on.
  std::string keyOf(tile::KernelOp kernel, llvm::ArrayRef<std::string> how) const;

  std::optional<Parts> find(const std::string &key) const;
  void keep(const std::string &key, const Parts &parts) const;

  /// Makes room as `keep` does, whenever that was done last.
  void sweep() const;

private:
  void sweepNowAndThen() const;

  std::string folder_, maker_;
  int64_t mostBytes_;
  mutable std::atomic<bool> isSwept_ = false; // by this object
};

} // namespace oriel::codegen

#endif
