#include "trainer/state/ModelState.h"

#include "runtime/base/Status.h"
#include "trainer/optimizer/Parameters.h"
#include "trainer/state/OwnedRanges.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::trainer {
namespace {

// Binds a buffer of the plan to a span, or leaves it empty when the plan has none. `elements`: what it must hold.
template <typename T>
absl::Status bindBuffer(runtime::Executor &executor, const char *name, int64_t elements, std::span<T> &out) {
  if (!executor.hasBuffer(name))
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(absl::Span<T> buffer, executor.buffer<T>(name));
  if (static_cast<int64_t>(buffer.size()) < elements)
    return absl::InvalidArgumentError(
        fmt::format("plan: buffer '{}' has {} elements, at least {} are needed", name, buffer.size(), elements));
  out = std::span<T>(buffer.data(), elements);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::unique_ptr<ModelState>> ModelState::create(std::shared_ptr<const runtime::Package> package,
                                                               runtime::Device &device,
                                                               runtime::Communicator &communicator) {
  ORIEL_ASSIGN_OR_RETURN(auto executor, runtime::Executor::create(std::move(package), device, communicator));
  std::unique_ptr<ModelState> state(new ModelState(std::move(executor), communicator, device.threads()));
  ORIEL_RETURN_IF_ERROR(state->bindBuffers());
  return state;
}

absl::Status ModelState::bindBuffers() {
  const plan::Plan &p = plan();
  int64_t total = static_cast<int64_t>(p.parameter_elements());
  if (total % communicator_.size() != 0)
    return absl::InvalidArgumentError(
        fmt::format("plan: {} parameter elements do not divide among {} ranks", total, communicator_.size()));
  int64_t ownedCount = total / communicator_.size();
  owned_ = ownedRanges(p, communicator_.rank(), communicator_.size());
  int64_t cells = p.batch() * p.tokens();
  runtime::Executor &e = *executor_;
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "params", total, params_));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "adam_m", ownedCount, adamM_));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "adam_v", ownedCount, adamV_));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "tokens", cells, tokens));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "targets", cells, targetTokens));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "doc_start", cells, docStart));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "position", p.batch(), position));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "loss", 1, loss));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "loss_scale", 1, lossScale));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "hyper", 8, hyper));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "grad_norm", 1, gradNorm));
  ORIEL_RETURN_IF_ERROR(bindBuffer(e, "logits", p.batch() * p.vocab(), logits));
  if (p.parameter_block() > 0)
    ORIEL_RETURN_IF_ERROR(bindBuffer(e, "decay", ownedCount / static_cast<int64_t>(p.parameter_block()), decay));
  if (params_.empty())
    return absl::InvalidArgumentError("plan: there is no buffer 'params'; this package is not of a model");
  return absl::OkStatus();
}

absl::Status ModelState::initialize(uint64_t seed, runtime::Deadline deadline) {
  std::fill(adamM_.begin(), adamM_.end(), 0.0f);
  std::fill(adamV_.begin(), adamV_.end(), 0.0f);
  for (const ElementRange &range : owned_)
    ORIEL_RETURN_IF_ERROR(initializeParameters(plan(), seed, range.first, paramsOf(range), threads_));
  return gatherParameters(deadline);
}

absl::Status ModelState::moveState(absl::Status (runtime::Executor::*move)(absl::string_view)) {
  for (const char *name : {"params", "adam_m", "adam_v"})
    if (executor_->hasBuffer(name))
      ORIEL_RETURN_IF_ERROR((executor_.get()->*move)(name));
  return absl::OkStatus();
}

absl::Status ModelState::gatherParameters(runtime::Deadline deadline) {
  for (const ElementRange &range : owned_) {
    float *bucket = params_.data() + range.first - communicator_.rank() * range.count;
    if (communicator_.size() > 1)
      ORIEL_RETURN_IF_ERROR(communicator_.allGather(bucket, range.count, runtime::DType::F32, deadline));
  }
  return moveState(&runtime::Executor::writeState);
}

absl::Status ModelState::copyParameters(ModelState &other) {
  if (places() != other.places())
    return absl::InvalidArgumentError("the two packages have different parameters");
  ORIEL_RETURN_IF_ERROR(other.executor_->readState("params"));
  int64_t used = usedElements(plan());
  std::copy_n(other.params_.begin(), used, params_.begin());
  return executor_->writeState("params");
}

absl::Status ModelState::setDecay(std::span<const std::string> noDecay) {
  std::vector<float> mask;
  for (const ElementRange &range : owned_) {
    ORIEL_ASSIGN_OR_RETURN(std::vector<float> part, decayMask(plan(), noDecay, range.first, range.count));
    mask.insert(mask.end(), part.begin(), part.end());
  }
  if (mask.size() != decay.size())
    return absl::InternalError(
        fmt::format("the decay mask has {} flags, the plan's buffer {}", mask.size(), decay.size()));
  std::copy(mask.begin(), mask.end(), decay.begin());
  return absl::OkStatus();
}

absl::StatusOr<ShardSlices> ModelState::slices() {
  ORIEL_RETURN_IF_ERROR(moveState(&runtime::Executor::readState));
  ShardSlices slices;
  for (const ShardTarget &target : targets())
    slices.push_back({target.first, target.params, target.adamM, target.adamV});
  return slices;
}

ShardTargets ModelState::targets() {
  ShardTargets targets;
  int64_t done = 0; // elements of the ranges before
  for (const ElementRange &range : owned_) {
    auto moments = [&](std::span<float> owned) { return owned.empty() ? owned : owned.subspan(done, range.count); };
    targets.push_back({range.first, paramsOf(range), moments(adamM_), moments(adamV_)});
    done += range.count;
  }
  return targets;
}

std::vector<ParameterPlace> ModelState::places() const {
  std::vector<ParameterPlace> result;
  for (const plan::Parameter &parameter : plan().parameters())
    result.push_back({parameter.name(),
                      {parameter.shape().begin(), parameter.shape().end()},
                      static_cast<int64_t>(parameter.offset())});
  return result;
}

} // namespace oriel::trainer
