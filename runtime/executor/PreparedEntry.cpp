// Preparing resolves references once; running does no look-ups and allocates nothing unless a step fails.
#include "runtime/executor/PreparedEntry.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <limits>

namespace oriel::runtime {

absl::StatusOr<PreparedEntry> PreparedEntry::create(const plan::EntryPoint &entry, const PrepareContext &context) {
  PreparedEntry prepared;
  prepared.entry_ = &entry;
  prepared.slots_ = std::numeric_limits<int64_t>::max();
  prepared.steps_.reserve(static_cast<size_t>(entry.steps_size()));
  for (int i = 0; i < entry.steps_size(); ++i)
    ORIEL_RETURN_IF_ERROR(withContext(prepared.addStep(entry.steps(i), context), describeStep(entry, i)));
  if (prepared.slotted_.empty())
    prepared.slots_ = 1;
  return prepared;
}

static GemmSpec specOf(const plan::Gemm &gemm, DType dtype, DType cDType) {
  GemmSpec spec;
  spec.m = gemm.m(), spec.n = gemm.n(), spec.k = gemm.k();
  spec.lda = gemm.lda(), spec.ldb = gemm.ldb(), spec.ldc = gemm.ldc();
  spec.transposeA = gemm.transpose_a(), spec.transposeB = gemm.transpose_b();
  spec.beta = gemm.beta();
  spec.dtype = dtype, spec.cDType = cDType;
  return spec;
}

absl::Status PreparedEntry::addStep(const plan::Step &step, const PrepareContext &context) {
  PreparedStep prepared;
  prepared.step = &step;
  prepared.action = actionOf(step);
  prepared.firstAddress = addresses_.size();
  ORIEL_RETURN_IF_ERROR(addAddresses(step, context));
  if (step.has_launch()) {
    const plan::Launch &launch = step.launch();
    ORIEL_ASSIGN_OR_RETURN(prepared.kernel, context.kernels->find(launch.symbol()));
    ORIEL_RETURN_IF_ERROR(context.device.reserveScratch(launch.scratch_bytes()));
    std::copy_n(launch.grid().begin(), 3, prepared.grid.begin());
  } else if (step.has_gemm()) {
    ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(step.gemm().dtype()));
    ORIEL_ASSIGN_OR_RETURN(DType cDType, toDType(step.gemm().c_dtype()));
    ORIEL_ASSIGN_OR_RETURN(prepared.gemm, context.device.prepareGemm(specOf(step.gemm(), dtype, cDType)));
  } else if (step.has_collective()) {
    ORIEL_ASSIGN_OR_RETURN(prepared.dtype, toDType(step.collective().dtype()));
  }
  steps_.push_back(std::move(prepared));
  return absl::OkStatus();
}

/// Appends the addresses of the step's references, and narrows slots_ to what they allow.
absl::Status PreparedEntry::addAddresses(const plan::Step &step, const PrepareContext &context) {
  ORIEL_ASSIGN_OR_RETURN(std::vector<RefUse> uses, refsOf(step, worldOf(context.plan)));
  for (const RefUse &use : uses) {
    int index = static_cast<int>(use.ref->buffer());
    const plan::Buffer &buffer = context.plan.buffers(index);
    uint64_t offset = use.ref->byte_offset() + use.ref->rank_stride() * static_cast<uint64_t>(context.rank);
    std::byte *address = context.memory + context.layout.offsets[index] + offset;
    if (uint64_t slotBytes = buffer.slot_bytes(); slotBytes > 0) {
      // A kernel may use all of the slot its argument points into.
      uint64_t end = step.has_launch() ? (offset / slotBytes + 1) * slotBytes : offset + use.bytes;
      slots_ = std::min(slots_, static_cast<int64_t>((buffer.bytes() - end) / slotBytes + 1));
      slotted_.push_back({addresses_.size(), address, slotBytes});
    }
    addresses_.push_back(address);
  }
  return absl::OkStatus();
}

absl::Status PreparedEntry::selectSlot(int64_t slot) {
  if (slot < 0 || slot >= slots_)
    return absl::OutOfRangeError(
        absl::StrCat("entry '", entry_->name(), "': slot ", slot, " of ", slots_, "; a step would leave its buffer"));
  if (slot == slot_)
    return absl::OkStatus();
  for (const SlottedAddress &slotted : slotted_)
    addresses_[slotted.index] = slotted.base + static_cast<uint64_t>(slot) * slotted.slotBytes;
  slot_ = slot;
  return absl::OkStatus();
}

absl::Status PreparedEntry::run(int64_t slot, const RunContext &context) {
  ORIEL_RETURN_IF_ERROR(selectSlot(slot));
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PreparedStep &step = steps_[i];
    double start = context.hook ? monotonicSeconds() : 0;
    if (absl::Status status = runStep(step, context); !status.ok())
      return withContext(std::move(status), describeStep(*entry_, static_cast<int>(i)));
    if (!context.hook)
      continue;
    ORIEL_RETURN_IF_ERROR(context.device.synchronize());
    context.hook({entry_->name(), static_cast<int64_t>(i), step.step->layer(), step.action, start, monotonicSeconds(),
                  step.step->flops()});
  }
  return context.device.synchronize();
}

absl::Status PreparedEntry::runStep(const PreparedStep &step, const RunContext &context) {
  void *const *at = addresses_.data() + step.firstAddress;
  switch (step.step->action_case()) {
  case plan::Step::kLaunch:
    return context.device.launch(step.kernel, at, step.grid);
  case plan::Step::kGemm:
    return context.device.gemm(*step.gemm, at[0], at[1], at[2]);
  case plan::Step::kCollective:
    return runCollective(step, context);
  case plan::Step::kFill:
    return context.device.fillZero(at[0], step.step->fill().bytes());
  case plan::Step::kCopy:
    return context.device.copy(at[1], at[0], step.step->copy().bytes());
  default:
    return absl::InternalError("the step has no action");
  }
}

absl::Status PreparedEntry::runCollective(const PreparedStep &step, const RunContext &context) {
  ORIEL_RETURN_IF_ERROR(context.device.synchronize());
  const plan::Collective &collective = step.step->collective();
  Deadline deadline = Deadline::after(context.collectiveSeconds);
  void *const *at = addresses_.data() + step.firstAddress;
  if (collective.kind() == plan::Collective::ALL_GATHER)
    return context.communicator.allGather(at[0], collective.count(), step.dtype, deadline);
  void *scratch = context.communicator.size() > 1 ? at[1] : nullptr;
  return context.communicator.reduceScatterTree(at[0], scratch, collective.count(), step.dtype, deadline);
}

} // namespace oriel::runtime
