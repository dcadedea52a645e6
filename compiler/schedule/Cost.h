// The first, simple cost model: a roofline per device. Predicts, does not measure.
#ifndef ORIEL_COMPILER_SCHEDULE_COST_H
#define ORIEL_COMPILER_SCHEDULE_COST_H

#include "compiler/schedule/Problem.h"

#include <functional>

namespace oriel::schedule {

/// What the model knows of a machine. Peaks are of the whole device.
struct DeviceDescriptor {
  std::string name;
  double matrixFlopsPerSecond = 0; // small f32 tile products inside kernels
  double memoryBytesPerSecond = 0;
};

/// Two cores of the kind that the project is developed on: f32 peak 230 GFLOP/s, of which tile products reach about 40
/// %; 28 GB/s.
DeviceDescriptor genericCpu();

/// What the op interface RecurrentMixer tells of one mixer (dialects/lm/LmInterfaces.td), free of MLIR.
struct RecurrentFacts {
  int64_t rowTokens = 0;
  int64_t stateElements = 0;   // at one chunk boundary, whole batch, f32
  int64_t activationBytes = 0; // operands and results, read and written once
  int64_t fusionBytes = 0;     // traffic that fusion with the window attention leaves out; 0: it cannot be fused
  std::function<double(int64_t chunk)> forwardFlops;
  std::function<double(int64_t chunk)> stateUpdateFlops; // of one chunk
};

/// Seconds of `flops` arithmetic that moves `bytes`: the slower of the two.
double rooflineSeconds(const DeviceDescriptor &device, double flops, double bytes);

/// Forward + backward of one mixer with chunk C and save interval m: the backward has the forward's products about 2.5
/// times and re-makes (m-1)/m of the states; saved states are written and read once. Small tiles run below the peak by
/// C / (C + 16).
MixerCandidate predictMixer(const DeviceDescriptor &device, const RecurrentFacts &mixer, int64_t chunk,
                            int64_t saveEvery);

/// The same fused with the window attention of its layer: seconds are less by what the traffic took, so that the times
/// of both forms compare though the window attention itself is in neither.
MixerCandidate fusedCandidate(const DeviceDescriptor &device, const RecurrentFacts &mixer, MixerCandidate apart);

/// predictMixer for C in {16 … 256} and m in {1, 2, 4, 8, 16}, as far as the row has that many chunks;
/// fused and apart where the mixer can be fused.
std::vector<MixerCandidate> mixerCandidates(const DeviceDescriptor &device, const RecurrentFacts &mixer);

} // namespace oriel::schedule

#endif
