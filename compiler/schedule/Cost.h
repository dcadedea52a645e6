// The cost model: a roofline per device, corrected by what was measured. Predicts, does not measure.
#ifndef ORIEL_COMPILER_SCHEDULE_COST_H
#define ORIEL_COMPILER_SCHEDULE_COST_H

#include "compiler/schedule/Occupancy.h"

namespace oriel::schedule {

/// What one step of a program does, as far as its time is concerned.
struct Work {
  std::string action;          // the kernel's symbol, "gemm 2048x768x768 NT", "fill", "copy", a collective
  int64_t m = 0, n = 0, k = 0; // of a library product; m = 0: it is none
  std::string dtype = "f32";   // of a product's operands
  double flops = 0, bytes = 0;
  int64_t cells = 0; // of a kernel's grid; 0: the work divides among any number of cores

  /// What the cores would do in the time of the work, over the work: above 1 where some have no cell to run.
  double idleFactor(int64_t cores) const;
  /// The same of a GPU whose multiprocessors are the cores and run `blocks` of the kernel's blocks of `warps` warps at a
  /// time: also above 1 where those are too few to hide how long an instruction takes.
  double idleFactor(int64_t cores, int64_t blocks, int64_t warps) const;
};

/// Warps that a multiprocessor needs for its full rate, two for each of its four schedulers: with the independent
/// instructions that unrolled tiles have, more of them hide nothing more (Volkov, "Understanding latency hiding on GPUs", 2016).
inline constexpr int64_t warpsForFullRate = 8;

enum class Bound { Arithmetic, Memory, Launch, Measured };
std::string_view boundName(Bound bound);

/// Predicted time and where it comes from: launch + max(arithmetic, memory), or what `search` measured.
struct Estimate {
  double seconds = 0;
  double arithmeticSeconds = 0, memorySeconds = 0; // the two sides of the roofline
  Bound bound = Bound::Memory;
};

/// A device and, if there is one, its tuning record.
struct CostModel {
  DeviceDescriptor device = genericCpu();
  TuningRecord record;
  std::map<std::string, BlockNeeds> blocks = {}; // of a GPU, what kernels' blocks take, by symbol, where assembled

  Estimate estimate(const Work &work) const;
  double idleFactor(const Work &work) const;

  /// Takes a record of this device. Another one's is left alone: the answer then says why, naming `file`.
  std::string use(TuningRecord other, const std::string &file);
};

/// The family of a kernel: the words of its symbol that are no sizes, each once. "rla_fwd_b1_t64" is of "rla_fwd",
/// "gate_bwd_silu_e4096_remake" of "gate_bwd_silu_remake", "rope_b1_t64_bf16" of "rope_bf16".
std::string familyOf(std::string_view symbol);

/// A step that was run: median seconds.
struct Measurement {
  Work work;
  double seconds = 0;
};

/// `prior` with the rates that explain the measurements best: per dtype of products the rate and the three half sizes,
/// per family of kernels the FLOP/s or the bytes/s, whichever varies less over its measurements. Families and dtypes
/// without a measurement keep their prior.
DeviceDescriptor fitDevice(DeviceDescriptor prior, const std::vector<Measurement> &measurements);

} // namespace oriel::schedule

#endif
