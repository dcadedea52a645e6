// What a run needs before its first step, made in order and agreed by all ranks: the model text, its package (rank 0
// compiles, the others wait), the device, the state, the data. Shared by train and eval.
#pragma once

#include "runtime/communicator/Communicator.h"
#include "runtime/communicator/DeviceCollectives.h"
#include "runtime/device/Device.h"
#include "trainer/config/job.pb.h"
#include "trainer/data/MixedDataset.h"
#include "trainer/loop/MicroBatchTree.h"
#include "trainer/loop/PackageCache.h"
#include "trainer/state/ModelState.h"
#include "trainer/tokenizer/Tokenizer.h"

#include <memory>
#include <optional>
#include <string>

namespace oriel::trainer {

struct RunSetup {
  TreeShare share;
  std::string modelText;
  std::unique_ptr<Tokenizer> tokenizer; // null, with a warning: it did not make the training tokens
  std::shared_ptr<const runtime::Package> package;
  bool compiled = false; // the package is new
  std::unique_ptr<runtime::Device> device;
  std::unique_ptr<runtime::DeviceCollectives> collectives; // of ranks whose GPUs exchange by NCCL; or null
  std::unique_ptr<ModelState> state;                       // ends before the device
  std::optional<MixedDataset> training;
  std::optional<PackedDataset> validation;
};

/// Collective; every rank returns the same error. Logs on rank 0 what takes time.
absl::StatusOr<RunSetup> setUpRun(const Job &job, runtime::Communicator &communicator);

/// The request for a job's package. `world` ranks.
absl::StatusOr<PackageRequest> packageRequestOf(const Job &job, const std::string &modelText, int world);

/// Rank 0 finds or compiles, all load; collective.
absl::StatusOr<CachedPackage> sharePackage(const PackageRequest &request, runtime::Communicator &communicator,
                                           double deadlineSeconds);

/// The device of this rank (OpenDevice.h): its share of the cores, or `threads`; or its GPU. Collective.
absl::StatusOr<std::unique_ptr<runtime::Device>> makeDevice(const std::string &kind, int64_t threads,
                                                            runtime::Communicator &communicator);

constexpr double kCompileDeadlineSeconds = 900;

} // namespace oriel::trainer
