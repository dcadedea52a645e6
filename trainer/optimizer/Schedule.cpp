// Learning-rate schedules. Pure functions of the job and the step.
#include "trainer/optimizer/Schedule.h"

#include "fmt/format.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace oriel::trainer {
namespace {

/// Where `step` lies between the first (0) and the last (1) step of a phase of `length` steps that begins at `begin`.
double progressIn(int64_t step, int64_t begin, int64_t length) {
  if (length <= 1)
    return 1.0;
  return std::clamp(static_cast<double>(step - begin) / static_cast<double>(length - 1), 0.0, 1.0);
}

} // namespace

double learningRate(const Job &job, int64_t step) {
  const double peak = job.optimizer().lr(), floor = job.schedule().min_lr_ratio();
  const int64_t steps = job.training().steps(), warmup = job.schedule().warmup_steps();
  if (step < warmup)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (job.schedule().kind() == "cosine") {
    double progress = progressIn(step, warmup, steps - warmup);
    return peak * (floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress)));
  }
  if (job.schedule().kind() == "wsd") {
    int64_t decay = job.schedule().decay_steps() > 0 ? job.schedule().decay_steps() : steps / 5;
    int64_t begin = std::max(warmup, steps - decay); // the first step below the plateau
    if (step < begin)
      return peak;
    // Counted from the last plateau step, so that the decay is felt at its first step and ends at the floor.
    double progress =
        std::min(1.0, static_cast<double>(step - begin + 1) / static_cast<double>(std::max<int64_t>(1, steps - begin)));
    return peak * (1 - (1 - floor) * progress);
  }
  return peak;
}

std::vector<std::string> scheduleWarnings(const Job &job) {
  const int64_t steps = job.training().steps(), warmup = job.schedule().warmup_steps(),
                decay = job.schedule().decay_steps();
  std::vector<std::string> warnings;
  if (steps > 0 && warmup >= steps)
    warnings.push_back(fmt::format("schedule.warmup_steps = {} and training.steps = {}: the learning rate rises to the end, "
                                   "to {:.3g} of optimizer.lr = {}",
                                   warmup, steps, learningRate(job, steps - 1), job.optimizer().lr()));
  else if (job.schedule().kind() == "wsd" && warmup + decay > steps)
    warnings.push_back(fmt::format("schedule.warmup_steps = {} and schedule.decay_steps = {} are more than training.steps = {}: "
                                   "the decay starts after the warm-up and takes {} steps",
                                   warmup, decay, steps, steps - warmup));
  return warnings;
}

std::array<float, 8> hyperVector(const Job &job, int64_t step, int64_t updates) {
  const OptimizerOptions &options = job.optimizer();
  // In double: 1 - beta2^1 is 0.05 with seven good digits only when rounded once.
  double correction1 = 1 - std::pow(options.beta1(), static_cast<double>(updates + 1));
  double correction2 = 1 - std::pow(options.beta2(), static_cast<double>(updates + 1));
  return {static_cast<float>(learningRate(job, step)),
          static_cast<float>(options.beta1()),
          static_cast<float>(options.beta2()),
          static_cast<float>(options.eps()),
          static_cast<float>(options.weight_decay()),
          static_cast<float>(options.max_grad_norm()),
          static_cast<float>(correction1),
          static_cast<float>(correction2)};
}

} // namespace oriel::trainer
