// The bytes of plan.pb: a serialized Plan whose last field is a checksum of all bytes before it, so that a torn or
// flipped file is never taken for a shorter plan. `protoc --decode` reads it as it is.
//
//   plan.pb = <Plan without checksum> <field 20: 32 hex digits of XXH3-128 of what precedes>
#ifndef ORIEL_RUNTIME_PLAN_PLANFILE_H
#define ORIEL_RUNTIME_PLAN_PLANFILE_H

#include "runtime/plan/plan.pb.h"

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <string>

namespace oriel::runtime {

/// What the compiler writes to plan.pb.
std::string encodePlan(plan::Plan plan);

/// DataLoss when the checksum is missing or wrong; InvalidArgument when the bytes are no Plan. Checks nothing else.
absl::StatusOr<plan::Plan> decodePlan(absl::string_view bytes);

} // namespace oriel::runtime

#endif
