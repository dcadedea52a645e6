// A plan as a page for people: sizes, memory per rank, FLOPs, the largest buffers.
#pragma once

#include "runtime/plan/plan.pb.h"

#include <cstdint>
#include <string>

namespace oriel::trainer {

/// `buffers`: how many of the largest to list.
std::string describePlan(const plan::Plan &plan, int64_t buffers);

/// Bytes of one rank's block: arena, state, IO and constants.
uint64_t memoryOf(const plan::Plan &plan);

} // namespace oriel::trainer
