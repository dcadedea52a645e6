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
  prepared.divide(context);
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

static LaunchSpec specOf(const plan::Launch &launch) {
  LaunchSpec spec;
  spec.symbol = launch.symbol();
  spec.arguments = launch.args_size();
  std::copy_n(launch.grid().begin(), 3, spec.grid.begin());
  spec.threads = std::max<int64_t>(launch.threads(), 1);
  spec.sharedBytes = static_cast<int64_t>(launch.shared_bytes());
  spec.scratchBytes = launch.scratch_bytes();
  return spec;
}

absl::Status PreparedEntry::addStep(const plan::Step &step, const PrepareContext &context) {
  PreparedStep prepared;
  prepared.step = &step;
  prepared.action = actionOf(step);
  prepared.firstAddress = addresses_.size();
  ORIEL_RETURN_IF_ERROR(addAddresses(step, context));
  if (step.has_launch()) {
    ORIEL_ASSIGN_OR_RETURN(prepared.launch, context.kernels->prepare(specOf(step.launch())));
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

/// Cuts the steps at collectives. A rank that is alone has none: both kinds leave its data as they are.
void PreparedEntry::divide(const PrepareContext &context) {
  ranksMeet_ = context.ranks > 1;
  size_t dataBytes = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    bool collective = steps_[i].step->has_collective() && ranksMeet_;
    if (segments_.empty() || collective || segments_.back().collective)
      segments_.push_back({i, i, collective});
    segments_.back().end = i + 1;
    if (collective)
      dataBytes = std::max(dataBytes, static_cast<size_t>(steps_[i].step->collective().count() * context.ranks) *
                                          bytesOf(steps_[i].dtype));
  }
  recordings_.resize(static_cast<size_t>(slots_) * segments_.size());
  if (context.hostVisible || dataBytes == 0)
    return;
  hostData_.resize(dataBytes);
  hostScratch_.resize(dataBytes);
}

absl::Status PreparedEntry::run(int64_t slot, const RunContext &context) {
  ORIEL_RETURN_IF_ERROR(selectSlot(slot));
  if (context.hook)
    return runTraced(context);
  for (size_t i = 0; i < segments_.size(); ++i)
    ORIEL_RETURN_IF_ERROR(runSegment(i, context));
  return absl::OkStatus();
}

absl::Status PreparedEntry::runTraced(const RunContext &context) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PreparedStep &step = steps_[i];
    double start = monotonicSeconds();
    absl::Status status = runStep(step, context);
    if (status.ok())
      status = context.device.synchronize();
    ORIEL_RETURN_IF_ERROR(withContext(std::move(status), describeStep(*entry_, static_cast<int>(i))));
    context.hook({entry_->name(), static_cast<int64_t>(i), step.step->layer(), step.action, start, monotonicSeconds(),
                  step.step->flops()});
  }
  return absl::OkStatus();
}

absl::Status PreparedEntry::runSegment(size_t index, const RunContext &context) {
  const Segment &segment = segments_[index];
  if (segment.collective || !records_)
    return runSteps(segment, context);
  std::unique_ptr<Recording> &recording = recordings_[static_cast<size_t>(slot_) * segments_.size() + index];
  if (!recording) {
    ORIEL_ASSIGN_OR_RETURN(recording, context.device.record([&] { return runSteps(segment, context); }));
    records_ = recording != nullptr;
  }
  return records_ ? context.device.replay(*recording) : runSteps(segment, context);
}

absl::Status PreparedEntry::runSteps(const Segment &segment, const RunContext &context) {
  for (size_t i = segment.first; i < segment.end; ++i)
    if (absl::Status status = runStep(steps_[i], context); !status.ok())
      return withContext(std::move(status), describeStep(*entry_, static_cast<int>(i)));
  return absl::OkStatus();
}

absl::Status PreparedEntry::runStep(const PreparedStep &step, const RunContext &context) {
  void *const *at = addresses_.data() + step.firstAddress;
  switch (step.step->action_case()) {
  case plan::Step::kLaunch:
    return context.device.launch(*step.launch, at);
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
  if (!ranksMeet_)
    return absl::OkStatus();
  void *const *at = addresses_.data() + step.firstAddress;
  if (context.deviceCollectives) {
    const plan::Collective &collective = step.step->collective();
    Deadline deadline = Deadline::after(context.collectiveSeconds);
    return collective.kind() == plan::Collective::ALL_GATHER
               ? context.deviceCollectives->allGather(at[0], collective.count(), step.dtype, deadline)
               : context.deviceCollectives->reduceScatter(at[0], collective.count(), step.dtype, deadline);
  }
  if (hostData_.empty()) {
    ORIEL_RETURN_IF_ERROR(context.device.synchronize());
    bool scratch = step.step->collective().kind() == plan::Collective::REDUCE_SCATTER_TREE;
    return runCollectiveOn(at[0], scratch ? at[1] : nullptr, step, context);
  }
  size_t bytes =
      static_cast<size_t>(step.step->collective().count() * context.communicator.size()) * bytesOf(step.dtype);
  ORIEL_RETURN_IF_ERROR(context.device.copy(hostData_.data(), at[0], bytes));
  ORIEL_RETURN_IF_ERROR(context.device.synchronize());
  ORIEL_RETURN_IF_ERROR(runCollectiveOn(hostData_.data(), hostScratch_.data(), step, context));
  ORIEL_RETURN_IF_ERROR(context.device.copy(at[0], hostData_.data(), bytes));
  return context.device.synchronize(); // the next collective reuses hostData_
}

absl::Status PreparedEntry::runCollectiveOn(void *data, void *scratch, const PreparedStep &step,
                                            const RunContext &context) {
  const plan::Collective &collective = step.step->collective();
  Deadline deadline = Deadline::after(context.collectiveSeconds);
  if (collective.kind() == plan::Collective::ALL_GATHER)
    return context.communicator.allGather(data, collective.count(), step.dtype, deadline);
  return context.communicator.reduceScatterTree(data, scratch, collective.count(), step.dtype, deadline);
}

} // namespace oriel::runtime
