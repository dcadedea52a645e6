// What one step of an entry point did, for traces.
#ifndef ORIEL_RUNTIME_EXECUTOR_STEPTRACE_H
#define ORIEL_RUNTIME_EXECUTOR_STEPTRACE_H

#include "absl/strings/string_view.h"

#include <cstdint>
#include <functional>

namespace oriel::runtime {

/// The strings live as long as the package.
struct StepTrace {
  /// Where the step ran: in the order of the entry; beside that, as a collective between devices; or nothing ran, because
  /// the step had to wait for such a collective.
  enum class Kind { InOrder, Beside, Waiting };
  absl::string_view entry;
  int64_t index = 0;         // of the step in its entry
  absl::string_view layer;   // "layers.0.mixer"
  absl::string_view action;  // actionOf(step): kernel symbol, "gemm …", "all_gather" …
  double start = 0, end = 0; // monotonicSeconds()
  double flops = 0;
  Kind kind = Kind::InOrder;
};

using StepHook = std::function<void(const StepTrace &)>;

} // namespace oriel::runtime

#endif
