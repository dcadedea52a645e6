// What one training step of a package is made of: its kernels with what they cost, its mixers with their schedule, and
// its memory over time. Made once, printed by `show`, compared by `diff`.
#ifndef ORIEL_COMPILER_TUNE_STEPREPORT_H
#define ORIEL_COMPILER_TUNE_STEPREPORT_H

#include "compiler/schedule/Occupancy.h"
#include "compiler/tune/Workbench.h"

#include <set>

namespace oriel::tune {

/// What a kernel takes of a GPU.
struct GpuRow {
  schedule::BlockNeeds block; // registers 0: not assembled
  int64_t spillBytes = 0, tensorInstructions = 0;
  std::optional<schedule::Occupancy> occupancy; // where it was assembled and the device is a GPU
};

/// All calls of one kernel, or of products of one size.
struct KernelRow {
  std::string action;
  std::set<std::string> layers;
  std::string grid; // "4 x 2 x 1"; empty: no kernel
  int64_t calls = 0, savedBytes = 0;
  double flops = 0, bytes = 0, predicted = 0, measured = 0;
  double arithmeticSeconds = 0, memorySeconds = 0;
  schedule::Bound bound = schedule::Bound::Memory; // of one call
  int64_t scratchBytes = 0;                        // of one running cell
  std::optional<GpuRow> gpu;                       // of a kernel of a package for GPUs

  double seconds(bool wasMeasured) const { return wasMeasured ? measured : predicted; }
  /// Layers, calls, bytes and times of `other` as well.
  void add(const KernelRow &other);
};

/// Recurrent mixers with one decision.
struct MixerRow {
  std::set<std::string> layers;
  schedule::MixerWay way;
  bool recompute = false;
  std::string why;
};

struct StepReport {
  bool isForGpu() const;
  std::string model, device;
  int64_t batch = 0, tokens = 0, threads = 0;
  std::vector<KernelRow> kernels; // most time first
  std::vector<MixerRow> mixers;
  int64_t kept = 0, madeAgain = 0; // ops that the backward needs, mixers not counted
  int64_t arenaBytes = 0, stateBytes = 0, ioBytes = 0, constantBytes = 0;
  std::vector<int64_t> timeline; // of arena bytes with values, by step of the forward and backward
  int64_t forwardSteps = 0;      // how many of them are of the forward half
  double predicted = 0, measured = 0;
  bool wasMeasured = false;

  int64_t memoryBytes() const { return arenaBytes + stateBytes + ioBytes + constantBytes; }
};

/// `measured` may be null.
StepReport makeReport(const runtime::Package &package, const schedule::CostModel &costs, const Measured *measured);

/// "rla_fwd_softmax_b8_t1024_w128_c32_m1_eps3eb…" as "rla_fwd_softmax b8 t1024 w128 c32 m1": the sizes and tiles of a
/// kernel without bit patterns of constants and without what is said twice.
std::string shortName(const std::string &action);

/// Predicted seconds of one training step: `micro` (or `vjp`) and `update`.
double predictedSeconds(const plan::Plan &plan, const schedule::CostModel &costs);

} // namespace oriel::tune

#endif
