#include "trainer/loop/RunSetup.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/communicator/nccl/NcclCollectives.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "trainer/config/JobConfig.h"
#include "trainer/device/ConnectGpus.h"
#include "trainer/device/OpenDevice.h"
#include "trainer/loop/Agreement.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace oriel::trainer {
namespace {

using runtime::Deadline;

/// The same with the key of the job in front of an error.
template <typename Result> Result ofKey(const char *key, Result result) {
  if (result.ok())
    return result;
  if constexpr (std::is_same_v<Result, absl::Status>)
    return runtime::withContext(result, key);
  else
    return runtime::withContext(result.status(), key);
}

// What every rank reads by itself before anything is compiled: quick to fail.
absl::Status readInputs(const Job &job, RunSetup &setup, int world) {
  ORIEL_ASSIGN_OR_RETURN(setup.share, shareOfRank(job.training().batch() / job.training().micro_batch(), world));
  ORIEL_ASSIGN_OR_RETURN(setup.modelText, ofKey("model", runtime::readFile(job.model())));
  ORIEL_ASSIGN_OR_RETURN(setup.tokenizer, ofKey("data.tokenizer", makeTokenizer(job.data().tokenizer())));
  if (!job.data().validation().empty())
    ORIEL_RETURN_IF_ERROR(ofKey("data.validation", TokenFile::open(job.data().validation())).status());
  for (const std::string &prefix : job.data().train())
    ORIEL_RETURN_IF_ERROR(ofKey("data.train", TokenFile::open(prefix)).status());
  ORIEL_RETURN_IF_ERROR(ofKey("training.device", findDevice(job.training().device())));
  if (job.distributed().fsdp() != 0 && job.distributed().fsdp() != world)
    return absl::InvalidArgumentError(
        fmt::format("distributed.fsdp = {} but {} ranks were started", job.distributed().fsdp(), world));
  return absl::OkStatus();
}

/// Losses per byte and samples by another tokenizer than the one that made the token files would mean nothing.
void dropForeignTokenizer(RunSetup &setup, bool leads) {
  absl::Status known;
  for (const PackedDataset &part : setup.training->parts()) {
    std::vector<int32_t> ids(static_cast<size_t>(std::min<int64_t>(part.streamTokens(), 1 << 16)));
    known.Update(part.file().read(0, ids, setup.tokenizer->vocabSize()));
  }
  if (known.ok())
    return;
  if (leads)
    spdlog::warn("{} data.tokenizer is '{}': there will be no losses per byte and no sample",
                 std::string(known.message()), setup.tokenizer->name());
  setup.tokenizer = nullptr;
}

/// Of each part of a mixture: its share, and how often this job goes through it.
void logMixture(const Job &job, const MixedDataset &data) {
  const double samples = static_cast<double>(job.training().steps() * job.training().batch());
  for (size_t i = 0; data.parts().size() > 1 && i < data.parts().size(); ++i)
    spdlog::info("{:.2f} % of the rows from {}: {:.2f} epochs of its {}", 100 * data.share(i), job.data().train(static_cast<int>(i)),
                 samples * data.share(i) / static_cast<double>(data.parts()[i].rowsPerEpoch()),
                 data.parts()[i].rowsPerEpoch());
}

absl::Status openData(const Job &job, RunSetup &setup, bool leads) {
  const plan::Plan &p = setup.state->plan();
  if (setup.tokenizer->vocabSize() > p.vocab())
    return absl::InvalidArgumentError(
        fmt::format("{}: the model's vocabulary of {} is smaller than that of the tokenizer "
                    "'{}' ({})",
                    job.model(), p.vocab(), setup.tokenizer->name(), setup.tokenizer->vocabSize()));
  PackingOptions packing{p.tokens(), job.training().seed(), job.data().shuffle(), static_cast<int32_t>(p.vocab())};
  std::vector<std::string> parts(job.data().train().begin(), job.data().train().end());
  std::vector<double> weights(job.data().weights().begin(), job.data().weights().end());
  ORIEL_ASSIGN_OR_RETURN(setup.training, MixedDataset::open(parts, weights, packing));
  if (leads)
    logMixture(job, *setup.training);
  dropForeignTokenizer(setup, leads);
  if (job.data().validation().empty())
    return absl::OkStatus();
  // In one fixed random order for every job: the first few micro-batches are then a fair sample of the whole set, and
  // losses of runs with different seeds compare.
  packing.shuffle = true;
  packing.seed = 0;
  ORIEL_ASSIGN_OR_RETURN(setup.validation, PackedDataset::open(job.data().validation(), packing));
  return absl::OkStatus();
}

/// Collective. NCCL between the ranks' GPUs, where the job wants it and there is more than one.
absl::Status makeCollectives(const Job &job, RunSetup &setup, runtime::Communicator &communicator) {
  if (job.distributed().collectives() != "nccl" || communicator.size() == 1)
    return absl::OkStatus();
  if (job.training().device() == "cpu")
    return absl::InvalidArgumentError("distributed.collectives = \"nccl\" needs training.device = \"cuda\"");
  absl::StatusOr<runtime::nccl::Nccl> library = runtime::nccl::openNccl();
  ORIEL_RETURN_IF_ERROR(agree(communicator, library.status(), Deadline::after(job.distributed().deadline())));
  if (job.training().device() == "cuda" && localRank() == 0)
    logPeers();
  bool fixed = job.distributed().reduction() == "fixed";
  ORIEL_ASSIGN_OR_RETURN(setup.collectives, connectGpus(*library, communicator, *setup.device,
                                                        fixed ? runtime::SumOrder::Tree : runtime::SumOrder::Library,
                                                        Deadline::after(job.distributed().deadline())));
  return absl::OkStatus();
}

absl::Status makeState(const Job &job, RunSetup &setup, runtime::Communicator &communicator) {
  ORIEL_ASSIGN_OR_RETURN(setup.state, ModelState::create(setup.package, *setup.device, communicator));
  setup.state->executor().setCollectiveTimeout(job.distributed().deadline());
  setup.state->executor().setDeviceCollectives(setup.collectives.get());
  return openData(job, setup, communicator.rank() == 0);
}

} // namespace

absl::StatusOr<PackageRequest> packageRequestOf(const Job &job, const std::string &modelText, int world) {
  ORIEL_ASSIGN_OR_RETURN(TreeShare share, shareOfRank(job.training().batch() / job.training().micro_batch(), world));
  PackageRequest request;
  request.modelText = modelText;
  request.modelPath = job.model();
  request.batch = job.training().micro_batch();
  request.tokens = job.training().sequence();
  request.world = world;
  request.gradSlots = share.slots;
  request.bucket = job.distributed().bucket();
  request.dtype = job.training().dtype();
  request.target = compileTargetOf(job.training().device(), job.compile().chip());
  request.cores = job.compile().cores();
  request.scheduleFile = job.compile().schedule();
  request.memoryBudget = job.memory().budget();
  request.compiler = job.compile().orielc();
  request.cacheDir = job.compile().cache();
  return request;
}

absl::StatusOr<CachedPackage> sharePackage(const PackageRequest &request, runtime::Communicator &communicator,
                                           double deadlineSeconds) {
  CachedPackage cached;
  absl::StatusOr<std::string> folder = std::string();
  if (communicator.rank() == 0) {
    absl::StatusOr<CachedPackage> found = findOrCompile(request, Deadline::after(deadlineSeconds));
    if (found.ok()) {
      cached = *std::move(found);
      folder = cached.package->folder();
    } else {
      folder = found.status();
    }
  }
  // The others wait for the compiler a little longer than it may take.
  ORIEL_ASSIGN_OR_RETURN(std::string shared, fromRankZero(communicator, folder, Deadline::after(deadlineSeconds + 30)));
  absl::Status loaded;
  if (communicator.rank() != 0) {
    absl::StatusOr<std::shared_ptr<const runtime::Package>> package = runtime::Package::load(shared);
    loaded = package.status();
    if (package.ok())
      cached.package = *std::move(package);
  }
  ORIEL_RETURN_IF_ERROR(agree(communicator, loaded, Deadline::after(60)));
  return cached;
}

absl::StatusOr<std::unique_ptr<runtime::Device>> makeDevice(const std::string &kind, int64_t threads,
                                                            runtime::Communicator &communicator) {
  if (threads > 0)
    return openDevice({kind, {static_cast<int>(threads), -1}});
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> cores,
                         communicator.allGatherBytes(runtime::describeCores(), Deadline::after(60)));
  return openDevice({kind, runtime::shareCores(cores, communicator.rank())});
}

absl::StatusOr<RunSetup> setUpRun(const Job &job, runtime::Communicator &communicator) {
  RunSetup setup;
  double patience = job.distributed().deadline();
  ORIEL_RETURN_IF_ERROR(agree(communicator, readInputs(job, setup, communicator.size()), Deadline::after(patience)));
  ORIEL_ASSIGN_OR_RETURN(PackageRequest request, packageRequestOf(job, setup.modelText, communicator.size()));
  double start = runtime::monotonicSeconds();
  ORIEL_ASSIGN_OR_RETURN(CachedPackage cached, sharePackage(request, communicator, kCompileDeadlineSeconds));
  setup.package = cached.package;
  setup.compiled = cached.compiled;
  if (!cached.rebuiltBecause.empty())
    spdlog::warn("a cached package was refused and built again: {}", cached.rebuiltBecause);
  if (communicator.rank() == 0)
    spdlog::info("package {} ({} in {:.2f} s)", setup.package->folder(), cached.compiled ? "compiled" : "cached",
                 runtime::monotonicSeconds() - start);
  ORIEL_ASSIGN_OR_RETURN(setup.device, makeDevice(job.training().device(), job.training().threads(), communicator));
  ORIEL_RETURN_IF_ERROR(agree(communicator, makeCollectives(job, setup, communicator), Deadline::after(patience)));
  ORIEL_RETURN_IF_ERROR(agree(communicator, makeState(job, setup, communicator), Deadline::after(patience)));
  return setup;
}

} // namespace oriel::trainer
