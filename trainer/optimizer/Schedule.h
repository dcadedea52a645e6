// The learning rate of a step, and the `hyper` buffer of a plan's update entry.
#pragma once

#include "trainer/config/job.pb.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace oriel::trainer {

/// Learning rate of step `step` (0 is the first) out of job.training().steps: linear warm-up from lr/warmup to lr, then
///   cosine    lr * (r + (1-r) * (1 + cos(pi * progress)) / 2), r = min_lr_ratio, reaching r*lr at the last step
///   wsd       lr, then linear to r*lr over the last decay_steps
///   constant  lr
double learningRate(const Job &job, int64_t step);

/// What is legal but hardly meant, one sentence each: a warm-up of the whole run, a decay that would start inside it.
std::vector<std::string> scheduleWarnings(const Job &job);

/// [lr, beta1, beta2, eps, weight_decay, max_grad_norm, bias_correction1, bias_correction2] of step `step` (0 is the
/// first) after `updates` <= step steps that changed the moments; bias_correction_i = 1 - beta_i^(updates+1).
std::array<float, 8> hyperVector(const Job &job, int64_t step, int64_t updates);

} // namespace oriel::trainer
