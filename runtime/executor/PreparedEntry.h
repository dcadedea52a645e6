// An entry point with everything looked up: addresses, kernels, matrix products. Running it only walks arrays.
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
  const KernelLibrary *kernels; // null when the plan has no launches
};

class PreparedEntry {
public:
  static absl::StatusOr<PreparedEntry> create(const plan::EntryPoint &entry, const PrepareContext &context);

  struct RunContext {
    Device &device;
    Communicator &communicator;
    double collectiveSeconds;
    const std::function<void(const StepTrace &)> &hook;
  };
  absl::Status run(int64_t slot, const RunContext &context);

  const plan::EntryPoint &entry() const { return *entry_; }

private:
  struct PreparedStep {
    const plan::Step *step = nullptr;
    std::string action;
    size_t firstAddress = 0; // of this step's references in addresses_
    KernelFunction kernel = nullptr;
    std::array<int64_t, 3> grid = {};
    std::shared_ptr<PreparedGemm> gemm;
    DType dtype = DType::F32; // of a collective
  };
  /// An address that moves with the slot.
  struct SlottedAddress {
    size_t index;
    std::byte *base;
    uint64_t slotBytes;
  };

  absl::Status addStep(const plan::Step &step, const PrepareContext &context);
  absl::Status addAddresses(const plan::Step &step, const PrepareContext &context);
  absl::Status selectSlot(int64_t slot);
  absl::Status runStep(const PreparedStep &step, const RunContext &context);
  absl::Status runCollective(const PreparedStep &step, const RunContext &context);

  const plan::EntryPoint *entry_ = nullptr;
  std::vector<PreparedStep> steps_;
  std::vector<void *> addresses_;
  std::vector<SlottedAddress> slotted_;
  int64_t slots_ = 1; // how many slots every step can be run at
  int64_t slot_ = 0;
};

} // namespace oriel::runtime

#endif
