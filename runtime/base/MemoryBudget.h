// How much memory a step may take, as people write it: in jobs (memory.budget) and on command lines (--memory-budget).
//
//   budget := "auto"                   the smallest schedule among those that are as good as the fastest: predictions
//                                      of time that differ by 0.5 % say nothing about which is faster
//           | "unlimited"              the fastest schedule, whatever it takes
//           | "least"                  the smallest schedule, whatever it costs
//           | number blank* unit       e.g. "6GiB", "1.5 GB", "800 MiB"
//   unit   := "B" | "KB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB"
#ifndef ORIEL_RUNTIME_BASE_MEMORYBUDGET_H
#define ORIEL_RUNTIME_BASE_MEMORYBUDGET_H

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <string>

namespace oriel::runtime {

struct MemoryBudget {
  enum Kind { Auto, Unlimited, Least, Bytes };
  Kind kind = Auto;
  int64_t bytes = 0; // of kind Bytes; above 0
};

/// "0", or number and unit as in the grammar above. InvalidArgument says what the text should look like.
absl::StatusOr<int64_t> parseBytes(absl::string_view text);

/// InvalidArgument says what the text should look like.
absl::StatusOr<MemoryBudget> parseMemoryBudget(absl::string_view text);

} // namespace oriel::runtime

#endif
