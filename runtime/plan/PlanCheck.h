// The laws of a plan, checked before anything is allocated or run: a malformed plan gives one clear error and can make
// the executor read or write nothing outside its buffers (the arguments of kernels excepted: their extents are the
// compiler's word; that they lie inside their buffers is checked).
#ifndef ORIEL_RUNTIME_PLAN_PLANCHECK_H
#define ORIEL_RUNTIME_PLAN_PLANCHECK_H

#include "runtime/base/DType.h"
#include "runtime/plan/plan.pb.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::runtime {

/// Checks everything that the plan alone tells. `constantsBytes` is the size of constants.bin (0 when absent).
/// InvalidArgument names the entry, step index, layer and field.
absl::Status checkPlan(const plan::Plan &plan, uint64_t constantsBytes);

/// The runtime's DType of a plan's; InvalidArgument for UNSPECIFIED or unknown.
absl::StatusOr<DType> toDType(plan::DType dtype);

/// Product of mesh axis sizes (1 without a mesh): the number of ranks the plan was compiled for.
int64_t worldOf(const plan::Plan &plan);

/// One use of a buffer by a step.
struct RefUse {
  const plan::Ref *ref;
  uint64_t bytes; // touched from the reference on; 1 for a kernel argument whose extent the plan does not tell
  uint64_t alignment;
  bool writes; // false for kernel arguments, too
  const char *field;
};

/// Every reference of a step, in the order of its fields; kernel arguments in their order. InvalidArgument when a size
/// of the step itself is wrong (negative, overflowing, an unset action …).
absl::StatusOr<std::vector<RefUse>> refsOf(const plan::Step &step, int64_t world);

/// "entry 'micro', step 12 (layers.0.mixer, kernel rattention_fwd)": the place of a step, for messages.
std::string describeStep(const plan::EntryPoint &entry, int index);

/// The kernel symbol, or "gemm 8192x768x256 NT" (m x n x k, which operands are transposed), "all_gather",
/// "reduce_scatter_tree", "fill", "copy".
std::string actionOf(const plan::Step &step);

} // namespace oriel::runtime

#endif
