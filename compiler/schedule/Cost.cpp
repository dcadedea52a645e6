#include "compiler/schedule/Cost.h"

#include <algorithm>

namespace oriel::schedule {

DeviceDescriptor genericCpu() { return {"generic-cpu", 92e9, 28e9}; }

double rooflineSeconds(const DeviceDescriptor &device, double flops, double bytes) {
  return std::max(flops / device.matrixFlopsPerSecond, bytes / device.memoryBytesPerSecond);
}

MixerCandidate predictMixer(const DeviceDescriptor &device, const RecurrentFacts &mixer, int64_t chunk,
                            int64_t saveEvery) {
  const int64_t chunks = (mixer.rowTokens + chunk - 1) / chunk;
  const int64_t stateBytes = mixer.stateElements * static_cast<int64_t>(sizeof(float));
  const double remadeShare = static_cast<double>(saveEvery - 1) / static_cast<double>(saveEvery);
  const double tileEfficiency = static_cast<double>(chunk) / static_cast<double>(chunk + 16);

  MixerCandidate candidate;
  candidate.chunk = chunk;
  candidate.saveEvery = saveEvery;
  candidate.savedBytes = (chunks + saveEvery - 1) / saveEvery * stateBytes;
  candidate.workspaceBytes = stateBytes * std::min(saveEvery, chunks);
  double flops =
      3.5 * mixer.forwardFlops(chunk) + remadeShare * static_cast<double>(chunks) * mixer.stateUpdateFlops(chunk);
  double traffic = 3.0 * static_cast<double>(mixer.activationBytes) + 2.0 * static_cast<double>(candidate.savedBytes);
  candidate.seconds = rooflineSeconds(device, flops / tileEfficiency, traffic);
  return candidate;
}

MixerCandidate fusedCandidate(const DeviceDescriptor &device, const RecurrentFacts &mixer, MixerCandidate apart) {
  apart.fused = true;
  apart.seconds -= static_cast<double>(mixer.fusionBytes) / device.memoryBytesPerSecond;
  apart.seconds = std::max(apart.seconds, 0.0);
  return apart;
}

std::vector<MixerCandidate> mixerCandidates(const DeviceDescriptor &device, const RecurrentFacts &mixer) {
  std::vector<MixerCandidate> candidates;
  for (int64_t chunk : {16, 32, 64, 128, 256}) {
    if (chunk > 16 && chunk / 2 >= mixer.rowTokens)
      break;
    int64_t chunks = (mixer.rowTokens + chunk - 1) / chunk;
    for (int64_t saveEvery : {1, 2, 4, 8, 16})
      if (saveEvery == 1 || saveEvery / 2 < chunks)
        candidates.push_back(predictMixer(device, mixer, chunk, saveEvery));
  }
  for (size_t i = 0, apart = mixer.fusionBytes > 0 ? candidates.size() : 0; i < apart; ++i)
    candidates.push_back(fusedCandidate(device, mixer, candidates[i]));
  return candidates;
}

} // namespace oriel::schedule
