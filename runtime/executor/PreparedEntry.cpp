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
  prepared.hostVisible_ = context.hostVisible;
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

static absl::StatusOr<TensorMapSpec> specOf(const plan::TensorMap &map) {
  TensorMapSpec spec;
  spec.argument = map.argument();
  ORIEL_ASSIGN_OR_RETURN(spec.dtype, toDType(map.dtype()));
  spec.sizes.assign(map.sizes().begin(), map.sizes().end());
  spec.strides.assign(map.strides().begin(), map.strides().end());
  spec.box.assign(map.box().begin(), map.box().end());
  spec.swizzleBytes = map.swizzle_bytes();
  return spec;
}

static absl::StatusOr<LaunchSpec> specOf(const plan::Launch &launch) {
  LaunchSpec spec;
  spec.symbol = launch.symbol();
  spec.arguments = launch.args_size();
  std::copy_n(launch.grid().begin(), 3, spec.grid.begin());
  spec.threads = std::max<int64_t>(launch.threads(), 1);
  spec.sharedBytes = static_cast<int64_t>(launch.shared_bytes());
  spec.scratchBytes = launch.scratch_bytes();
  for (const plan::TensorMap &map : launch.tensor_maps()) {
    ORIEL_ASSIGN_OR_RETURN(TensorMapSpec mapSpec, specOf(map));
    spec.tensorMaps.push_back(std::move(mapSpec));
  }
  return spec;
}

absl::Status PreparedEntry::addStep(const plan::Step &step, const PrepareContext &context) {
  PreparedStep prepared;
  prepared.step = &step;
  prepared.action = actionOf(step);
  prepared.firstAddress = addresses_.size();
  ORIEL_RETURN_IF_ERROR(addAddresses(step, context));
  if (step.has_launch()) {
    ORIEL_ASSIGN_OR_RETURN(LaunchSpec spec, specOf(step.launch()));
    ORIEL_ASSIGN_OR_RETURN(prepared.launch, context.kernels->prepare(spec));
  } else if (step.has_gemm()) {
    ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(step.gemm().dtype()));
    ORIEL_ASSIGN_OR_RETURN(DType cDType, toDType(step.gemm().c_dtype()));
    ORIEL_ASSIGN_OR_RETURN(prepared.gemm, context.device.prepareGemm(specOf(step.gemm(), dtype, cDType)));
  } else if (step.has_collective()) {
    ORIEL_ASSIGN_OR_RETURN(prepared.dtype, toDType(step.collective().dtype()));
    addPiece(prepared, context);
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
    std::byte *start = context.memory + context.layout.offsets[index], *address = start + offset;
    bool toTheEnd = step.has_launch() && use.ref->bytes() == 0;
    ranges_.push_back(buffer.slot_bytes() > 0
                          ? ByteRange{start, start + buffer.bytes()}
                          : ByteRange{address, toTheEnd ? start + buffer.bytes() : address + use.bytes});
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

/// A rank that is alone has none: both kinds leave its data as they are.
void PreparedEntry::addPiece(PreparedStep &step, const PrepareContext &context) {
  if (context.ranks == 1)
    return;
  auto *data = static_cast<std::byte *>(addresses_[step.firstAddress]);
  int64_t bytes = step.step->collective().count() * static_cast<int64_t>(bytesOf(step.dtype)) * context.ranks;
  step.piece = context.exchange.addPiece({data, data + bytes});
}

bool PreparedEntry::conflicts(size_t step, const ByteRange &range) const {
  size_t end = step + 1 < steps_.size() ? steps_[step + 1].firstAddress : ranges_.size();
  return !steps_[step].meets() && std::any_of(ranges_.begin() + static_cast<ptrdiff_t>(steps_[step].firstAddress),
                                              ranges_.begin() + static_cast<ptrdiff_t>(end),
                                              [&](const ByteRange &used) { return used.overlaps(range); });
}

/// For each step, the pieces that it is the first to use: after they were issued here, or, of those that the last run
/// of an entry may have left, from the start on.
std::vector<std::vector<int>> PreparedEntry::placesToWait(const Exchange &exchange) const {
  std::vector<std::vector<int>> awaited(steps_.size());
  auto awaitFrom = [&](size_t first, int piece) {
    for (size_t step = first; step < steps_.size(); ++step)
      if (conflicts(step, exchange.rangeOf(piece))) {
        awaited[step].push_back(piece);
        return true;
      }
    return false;
  };
  std::vector<bool> endsHere(static_cast<size_t>(exchange.pieces()));
  for (size_t step = 0; step < steps_.size(); ++step)
    if (int piece = steps_[step].piece; steps_[step].meets())
      endsHere[static_cast<size_t>(piece)] = awaitFrom(step + 1, piece);
  for (int piece = 0; piece < exchange.pieces(); ++piece)
    if (!endsHere[static_cast<size_t>(piece)])
      awaitFrom(0, piece);
  return awaited;
}

void PreparedEntry::divide(const Exchange &exchange) {
  std::vector<std::vector<int>> awaited = placesToWait(exchange);
  for (size_t i = 0; i < steps_.size(); ++i) {
    bool collective = steps_[i].meets();
    if (segments_.empty() || collective || segments_.back().collective || !awaited[i].empty())
      segments_.push_back({i, i, collective, std::move(awaited[i])});
    segments_.back().end = i + 1;
  }
  recordings_.resize(static_cast<size_t>(slots_) * segments_.size());
}

absl::Status PreparedEntry::run(int64_t slot, const RunContext &context) {
  ORIEL_RETURN_IF_ERROR(selectSlot(slot));
  if (context.hook)
    return runTraced(context);
  for (size_t i = 0; i < segments_.size(); ++i)
    ORIEL_RETURN_IF_ERROR(runSegment(i, context));
  return absl::OkStatus();
}

StepTrace PreparedEntry::traceOf(size_t step) const {
  const plan::Step &traced = *steps_[step].step;
  return {entry_->name(), static_cast<int64_t>(step), traced.layer(), steps_[step].action, monotonicSeconds(), 0,
          traced.flops()};
}

/// Each step is waited for, so that its time is its own; collectives beside the steps are not.
absl::Status PreparedEntry::runTraced(const RunContext &context) {
  for (const Segment &segment : segments_) {
    ORIEL_RETURN_IF_ERROR(awaitTraced(segment, context));
    for (size_t step = segment.first; step < segment.end; ++step)
      if (absl::Status status = runStepTraced(step, context); !status.ok())
        return withContext(std::move(status), describeStep(*entry_, static_cast<int>(step)));
  }
  return absl::OkStatus();
}

absl::Status PreparedEntry::awaitTraced(const Segment &segment, const RunContext &context) {
  auto isPending = [&](int piece) { return context.exchange.isPending(piece); };
  if (std::none_of(segment.awaited.begin(), segment.awaited.end(), isPending))
    return absl::OkStatus();
  StepTrace trace = traceOf(segment.first);
  for (int piece : segment.awaited)
    ORIEL_RETURN_IF_ERROR(context.exchange.await(piece));
  ORIEL_RETURN_IF_ERROR(context.exchange.settle(Deadline::after(context.collectiveSeconds)));
  trace.kind = StepTrace::Kind::Waiting;
  trace.end = monotonicSeconds();
  trace.flops = 0;
  context.hook(trace);
  return absl::OkStatus();
}

absl::Status PreparedEntry::runStepTraced(size_t index, const RunContext &context) {
  StepTrace trace = traceOf(index);
  const PreparedStep &step = steps_[index];
  ORIEL_RETURN_IF_ERROR(runStep(step, context));
  if (step.meets() && context.exchange.active()) {
    context.exchange.describe(step.piece, trace);
    return absl::OkStatus();
  }
  ORIEL_RETURN_IF_ERROR(context.exchange.settle(Deadline::after(context.collectiveSeconds)));
  trace.end = monotonicSeconds();
  context.hook(trace);
  return absl::OkStatus();
}

absl::Status PreparedEntry::runSegment(size_t index, const RunContext &context) {
  const Segment &segment = segments_[index];
  for (int piece : segment.awaited)
    ORIEL_RETURN_IF_ERROR(context.exchange.await(piece));
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
  if (!step.meets())
    return absl::OkStatus();
  void *const *at = addresses_.data() + step.firstAddress;
  const plan::Collective &collective = step.step->collective();
  bool gathers = collective.kind() == plan::Collective::ALL_GATHER;
  Deadline deadline = Deadline::after(context.collectiveSeconds);
  if (context.exchange.active())
    return gathers ? context.exchange.gather(step.piece, at[0], collective.count(), step.dtype, deadline)
                   : context.exchange.reduce(step.piece, at[0], collective.count(), step.dtype, deadline);
  if (hostVisible_) {
    ORIEL_RETURN_IF_ERROR(context.device.synchronize());
    return runCollectiveOn(at[0], gathers ? nullptr : at[1], step, context);
  }
  size_t bytes = static_cast<size_t>(collective.count() * context.communicator.size()) * bytesOf(step.dtype);
  for (std::unique_ptr<DeviceMemory> *memory : {&hostData_, &hostScratch_})
    if (!*memory || (*memory)->bytes() < bytes) {
      ORIEL_ASSIGN_OR_RETURN(*memory, context.device.allocate(bytes, MemoryUse::Staging));
    }
  ORIEL_RETURN_IF_ERROR(context.device.copy(hostData_->data(), at[0], bytes));
  ORIEL_RETURN_IF_ERROR(context.device.synchronize());
  ORIEL_RETURN_IF_ERROR(runCollectiveOn(hostData_->data(), hostScratch_->data(), step, context));
  ORIEL_RETURN_IF_ERROR(context.device.copy(at[0], hostData_->data(), bytes));
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
