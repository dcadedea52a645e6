// What the trainer does to the flat parameter vector of a plan outside the compiled code: first values and decay flags.
// Both work on any range, so every rank makes its own slice and all world sizes make the same vector.
#pragma once

#include "runtime/plan/plan.pb.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace oriel::trainer {

/// Writes the initial values of elements [first, first + slice.size()) of "params". Element i of a parameter is a
/// function of (seed, parameter name, i) alone; padding is zero. Unimplemented for an unknown init. Runs on `threads`
/// threads, at least one.
absl::Status initializeParameters(const plan::Plan &plan, uint64_t seed, int64_t first, std::span<float> slice,
                                  int threads);

/// The `decay` buffer of the slice [first, first + count): one 1.0 or 0.0 per parameter_block elements. A parameter is
/// decayed when the plan says so and no pattern of `noDecay` ('*' matches any characters) matches its name.
/// InvalidArgument, with the known names, for a pattern that matches no parameter.
absl::StatusOr<std::vector<float>> decayMask(const plan::Plan &plan, std::span<const std::string> noDecay,
                                             int64_t first, int64_t count);

/// First element behind the last parameter; what follows in the flat buffers is padding that depends on the world size.
int64_t usedElements(const plan::Plan &plan);

/// Elements of all parameters, without alignment gaps: the number a person calls the model's size.
int64_t parameterCount(const plan::Plan &plan);

} // namespace oriel::trainer
