// Packages by content: what determines a package is hashed to a key, and the key names its folder in the cache. A
// package that is absent, damaged or built for another CPU is compiled by `orielc` and put there by one rename.
//
// Knows nothing of ranks: rank 0 calls it, the others load the folder it names (RankGroup.h).
#pragma once

#include "runtime/base/Clock.h"
#include "runtime/plan/Package.h"

#include "absl/status/statusor.h"

#include <memory>
#include <string>

namespace oriel::trainer {

struct PackageRequest {
  std::string modelText;
  std::string modelPath; // the file that holds modelText; empty: the text is written to a temporary one
  int64_t batch = 1;     // rows of one micro-batch
  int64_t tokens = 1;    // of one row
  int64_t world = 1;
  int64_t gradSlots = 1;
  std::string bucket;                // of gradients, as orielc --bucket takes it; empty: its default
  std::string dtype = "f32";         // of activations: "f32" or "bf16"
  std::string target = "cpu";        // as orielc --target takes it
  int64_t cores = 0;                 // of a CPU, that the schedule is made for; 0: this machine's
  std::string scheduleFile;          // empty: the compiler chooses
  std::string memoryBudget = "auto"; // runtime/base/MemoryBudget.h
  std::string compiler;              // path of orielc; empty: $ORIELC, beside this program, then $PATH
  std::string cacheDir;              // empty: $ORIEL_CACHE, then ~/.cache/oriel
};

struct CachedPackage {
  std::shared_ptr<const runtime::Package> package;
  std::string rebuiltBecause; // of a package that was in the cache but had to be replaced
  bool compiled = false;      // false: it came from the cache
};

/// InvalidArgument with the compiler's diagnostics when the model is refused; NotFound without a compiler or a home. A
/// cache that cannot be written to (a full disk, no permission) is an error that names its folder, the reason and what
/// to do.
absl::StatusOr<CachedPackage> findOrCompile(const PackageRequest &request, runtime::Deadline deadline);

/// The cache folder's name of a request: 32 hex digits over the model text, shapes, target, schedule, the compiler's
/// bytes, this machine's CPU and its tuning files (runtime/base/TuningFiles.h).
absl::StatusOr<std::string> packageKey(const PackageRequest &request, const std::string &compiler);

} // namespace oriel::trainer
