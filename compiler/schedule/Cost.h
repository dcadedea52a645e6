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
  // Of a kernel's program, all cells together; they count on GPUs whose descriptor says how tiles come to it.
  double productFlops = 0; // of `flops`, those of products
  double cellBytes = 0;    // that cells read and write, wherever they lie
  double rounds = 0;       // times that a cell waits for tiles

  /// What the cores would do in the time of the work, over the work: above 1 where some have no cell to run.
  double idleFactor(int64_t cores) const;
};

/// What an assembler, or the code generator before it, says of a kernel on a GPU.
struct BlockCode : BlockNeeds {
  int64_t stages = 1;        // iterations of its loops whose tiles are under way at one time
  double warpgroupShare = 0; // of its products: on wgmma
  bool operator==(const BlockCode &) const = default;
};

/// Warps that a multiprocessor needs for its full rate, two for each of its four schedulers: with the independent
/// instructions that unrolled tiles have, more of them hide nothing more (Volkov, "Understanding latency hiding on GPUs", 2016).
inline constexpr int64_t warpsForFullRate = 8;

enum class Bound { Arithmetic, Memory, Cache, Latency, Launch, Measured };
std::string_view boundName(Bound bound);

/// Predicted time and where it comes from: launch + the largest of the others, or what `search` measured.
struct Estimate {
  double seconds = 0;
  double arithmeticSeconds = 0, memorySeconds = 0; // the two sides of the roofline
  double cacheSeconds = 0;   // of a GPU: tiles from its shared cache to the multiprocessors
  double latencySeconds = 0; // of a GPU: cells that wait for their tiles, as far as no other cell fills the time
  Bound bound = Bound::Memory;
  bool operator==(const Estimate &) const = default;
};

/// A device and, if there is one, its tuning record.
struct CostModel {
  DeviceDescriptor device = genericCpu();
  TuningRecord record;
  std::map<std::string, BlockCode> blocks = {}; // of a GPU, what kernels' blocks take, by symbol, where assembled

  Estimate estimate(const Work &work) const;
  /// The same of a kernel whose code on a GPU is `code`.
  Estimate estimate(const Work &work, const BlockCode &code) const;

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
