// The log of a process: spdlog on standard error, each line marked with the rank once it is known.
//
// Include <spdlog/spdlog.h> where lines are written: spdlog::info("step {}", step).
#ifndef ORIEL_RUNTIME_BASE_LOG_H
#define ORIEL_RUNTIME_BASE_LOG_H

#include "absl/strings/string_view.h"

namespace oriel::runtime {

/// Sets pattern and level of the default logger. rank < 0: no rank is shown. `level` is trace, debug, info, warn, err
/// or off; an empty one means the environment variable ORIEL_LOG, or info. Ranks above 0 show warnings and worse only,
/// unless ORIEL_LOG is set.
void initLogging(int rank, absl::string_view level = "");

} // namespace oriel::runtime

#endif
