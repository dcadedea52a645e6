// An entry point with everything looked up: addresses, kernels, matrix products. Running it only walks arrays, or
// replays recordings: a device that records gets each run of steps as one, per slot; runs end at collectives and where
// the device has to wait for one (Exchange.h).
#ifndef ORIEL_RUNTIME_EXECUTOR_PREPAREDENTRY_H
#define ORIEL_RUNTIME_EXECUTOR_PREPAREDENTRY_H

#include "runtime/communicator/Communicator.h"
#include "runtime/device/Device.h"
#include "runtime/executor/Exchange.h"
#include "runtime/executor/Executor.h"
#include "runtime/memory/MemoryLayout.h"
#include "runtime/plan/PlanCheck.h"

#include <vector>

namespace oriel::runtime {

/// What preparing needs to know; the referenced objects outlive the entry.
struct PrepareContext {
  const plan::Plan &plan;
  const MemoryLayout &layout;
  std::byte *memory;
  Device &device;
  int rank;
  KernelLibrary *kernels; // null when the plan has no launches
  bool hostVisible;       // the host may follow addresses into `memory`
  int ranks;
  Exchange &exchange;
};

class PreparedEntry {
public:
  /// Also plans the pieces of its collectives. divide() is next, once every entry has.
  static absl::StatusOr<PreparedEntry> create(const plan::EntryPoint &entry, const PrepareContext &context);
  void divide(const Exchange &exchange);

  struct RunContext {
    Device &device;
    Communicator &communicator;
    Exchange &exchange;
    double collectiveSeconds;
    const StepHook &hook;
  };
  /// Issues every step; whoever wants the results settles the exchange.
  absl::Status run(int64_t slot, const RunContext &context);

  const plan::EntryPoint &entry() const { return *entry_; }

private:
  struct PreparedStep {
    const plan::Step *step = nullptr;
    std::string action;
    size_t firstAddress = 0; // of this step's references in addresses_
    std::unique_ptr<PreparedLaunch> launch;
    std::shared_ptr<PreparedGemm> gemm;
    DType dtype = DType::F32; // of a collective
    int piece = -1;           // of a collective between ranks
    bool meets() const { return piece >= 0; }
  };
  /// Steps [first, end) that the device runs by itself, or one collective between ranks.
  struct Segment {
    size_t first, end;
    bool collective;
    std::vector<int> awaited; // pieces that the device waits for before it
  };
  /// An address that moves with the slot.
  struct SlottedAddress {
    size_t index;
    std::byte *base;
    uint64_t slotBytes;
  };

  absl::Status addStep(const plan::Step &step, const PrepareContext &context);
  absl::Status addAddresses(const plan::Step &step, const PrepareContext &context);
  void addPiece(PreparedStep &step, const PrepareContext &context);
  bool conflicts(size_t step, const ByteRange &range) const;
  std::vector<std::vector<int>> placesToWait(const Exchange &exchange) const;
  absl::Status selectSlot(int64_t slot);
  StepTrace traceOf(size_t step) const;
  absl::Status runTraced(const RunContext &context);
  absl::Status awaitTraced(const Segment &segment, const RunContext &context);
  absl::Status runStepTraced(size_t step, const RunContext &context);
  absl::Status runSegment(size_t index, const RunContext &context);
  absl::Status runSteps(const Segment &segment, const RunContext &context);
  absl::Status runStep(const PreparedStep &step, const RunContext &context);
  absl::Status runCollective(const PreparedStep &step, const RunContext &context);
  absl::Status runCollectiveOn(void *data, void *scratch, const PreparedStep &step, const RunContext &context);

  const plan::EntryPoint *entry_ = nullptr;
  std::vector<PreparedStep> steps_;
  std::vector<void *> addresses_;
  std::vector<ByteRange> ranges_; // what each reference may touch, at any slot
  std::vector<SlottedAddress> slotted_;
  int64_t slots_ = 1; // how many slots every step can be run at
  int64_t slot_ = 0;
  std::vector<Segment> segments_;
  std::vector<std::unique_ptr<Recording>> recordings_; // [slots, segments], made when they first run
  bool records_ = true;                                // until the device says that it does not
  // Where ranks meet when the host does not see device memory; made when they first do.
  bool hostVisible_ = true;
  std::unique_ptr<DeviceMemory> hostData_, hostScratch_;
};

} // namespace oriel::runtime

#endif
