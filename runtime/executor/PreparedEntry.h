// An entry point with everything looked up: addresses, kernels, matrix products. Running it only walks arrays, or
// replays recordings: a device that records gets each run of steps between two collectives as one, per slot.
#ifndef ORIEL_RUNTIME_EXECUTOR_PREPAREDENTRY_H
#define ORIEL_RUNTIME_EXECUTOR_PREPAREDENTRY_H

#include "runtime/communicator/Communicator.h"
#include "runtime/device/Device.h"
#include "runtime/executor/Executor.h"
#include "runtime/memory/MemoryLayout.h"
#include "runtime/plan/PlanCheck.h"

#include <functional>
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
};

class PreparedEntry {
public:
  static absl::StatusOr<PreparedEntry> create(const plan::EntryPoint &entry, const PrepareContext &context);

  struct RunContext {
    Device &device;
    Communicator &communicator;
    DeviceCollectives *deviceCollectives; // null: through the communicator
    double collectiveSeconds;
    const std::function<void(const StepTrace &)> &hook;
  };
  /// Issues every step; whoever wants the results synchronizes the device.
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
  };
  /// Steps [first, end) that the device runs by itself, or one collective between ranks.
  struct Segment {
    size_t first, end;
    bool collective;
  };
  /// An address that moves with the slot.
  struct SlottedAddress {
    size_t index;
    std::byte *base;
    uint64_t slotBytes;
  };

  absl::Status addStep(const plan::Step &step, const PrepareContext &context);
  absl::Status addAddresses(const plan::Step &step, const PrepareContext &context);
  void divide(const PrepareContext &context);
  absl::Status selectSlot(int64_t slot);
  absl::Status runTraced(const RunContext &context);
  absl::Status runSegment(size_t index, const RunContext &context);
  absl::Status runSteps(const Segment &segment, const RunContext &context);
  absl::Status runStep(const PreparedStep &step, const RunContext &context);
  absl::Status runCollective(const PreparedStep &step, const RunContext &context);
  absl::Status runCollectiveOn(void *data, void *scratch, const PreparedStep &step, const RunContext &context);

  const plan::EntryPoint *entry_ = nullptr;
  std::vector<PreparedStep> steps_;
  std::vector<void *> addresses_;
  std::vector<SlottedAddress> slotted_;
  int64_t slots_ = 1; // how many slots every step can be run at
  int64_t slot_ = 0;
  std::vector<Segment> segments_;
  std::vector<std::unique_ptr<Recording>> recordings_; // [slots, segments], made when they first run
  bool records_ = true;                                // until the device says that it does not
  bool ranksMeet_ = false;                             // there is more than one
  std::vector<std::byte> hostData_, hostScratch_;      // where ranks meet when the host does not see device memory
};

} // namespace oriel::runtime

#endif
