// Faults on purpose, for tests of recovery: ORIEL_FAIL=phase:rank:step:action makes that rank fail when it reaches the
// phase of that step. Actions: kill (SIGKILL to itself), stop (SIGSTOP), term (SIGTERM, and goes on), error (an
// Internal status). Phases: step, micro, update, prepare, vote, commit, committed, eval. Without the variable a
// failpoint costs one look at the environment.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include <cstdint>

namespace oriel::trainer {

/// OK unless the variable names this place with `error`. InvalidArgument for a malformed variable.
absl::Status failpoint(absl::string_view phase, int rank, int64_t step);

} // namespace oriel::trainer
