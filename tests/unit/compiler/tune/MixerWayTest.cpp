// Tests the schedule files that trials give to the compiler.
#include "compiler/tune/MixerWay.h"

#include <gtest/gtest.h>

namespace oriel::tune {
namespace {

schedule::MixerCandidate candidate(int64_t chunk, int64_t saveEvery, bool twoPass, bool fused) {
  schedule::MixerCandidate result;
  result.chunk = chunk;
  result.saveEvery = saveEvery;
  result.twoPass = twoPass;
  result.fused = fused;
  return result;
}

TEST(MixerWayTest, NamesOnlyTheMixersThatMayRunSo) {
  schedule::Problem problem;
  for (const char *path : {"layers.0.mixer.rla", "layers.1.mixer.rla"})
    problem.ops.push_back({path, 0, 0, 0, {}, {}});
  problem.mixers.push_back({0, 1, {candidate(32, 1, false, false), candidate(32, 1, true, true)}});
  problem.mixers.push_back({1, 1, {candidate(32, 1, false, false)}});
  EXPECT_EQ(scheduleText(problem, {32, 1, false, false}), "tape.schedule @layers.0.mixer.rla chunk 32 save_every 1\n"
                                                          "tape.schedule @layers.1.mixer.rla chunk 32 save_every 1\n");
  EXPECT_EQ(scheduleText(problem, {32, 1, true, true}),
            "tape.schedule @layers.0.mixer.rla chunk 32 save_every 1 two_pass fused\n");
  EXPECT_EQ(scheduleText(problem, {32, 1, true, true, 64}),
            "tape.schedule @layers.0.mixer.rla chunk 32 save_every 1 two_pass fused tile 64\n");
  EXPECT_EQ(scheduleText(problem, {64, 1, false, false}), "");
}

TEST(MixerWayTest, SaysWhatIsOneKernel) {
  EXPECT_EQ(kernelText({64, 1, false, false}), "apart");
  EXPECT_EQ(kernelText({64, 1, true, true, 32}), "in two passes, fused with its window, key tile 32");
}

} // namespace
} // namespace oriel::tune
