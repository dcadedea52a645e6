// What the person at the terminal sees: a bar that redraws in place, or plain lines when the output is no terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace oriel::trainer {

struct StepReport {
  int64_t step = 0; // steps done
  double loss = 0;  // nats per token
  double learningRate = 0;
  double gradNorm = 0;
  double tokensPerSecond = 0; // over all ranks
  std::optional<double> mfu;  // 0..1; absent when the peak is unknown
};

/// The line for a report, without the bar: "step 120/1000  loss 2.3145  11.4k tok/s  MFU 41.2 %  ETA 3:12"; a wide one
/// has "grad norm 0.52  lr 1.0e-03" behind the loss.
std::string formatStep(const StepReport &report, int64_t totalSteps, double secondsLeft, bool wide);
/// "3:12", "1:02:03", "2 d 03:04".
std::string formatDuration(double seconds);

/// Not thread safe. `lineEvery` seconds pass between two plain lines; the bar redraws at most ten times a second.
class Progress {
public:
  Progress(int64_t firstStep, int64_t totalSteps, std::FILE *out = stderr, double lineEvery = 5.0);
  ~Progress();

  void update(const StepReport &report);
  /// A line of its own (validation loss, a checkpoint's path) that leaves the bar intact below.
  void note(const std::string &line);
  void finish();

private:
  void draw(const std::string &line);

  int64_t firstStep_, totalSteps_;
  std::FILE *out_;
  bool terminal_;
  double lineEvery_, started_, lastShown_ = -1e9;
  std::string shown_;
};

} // namespace oriel::trainer
