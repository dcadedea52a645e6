// Runs the threads of one block as fibers. Barriers and warp collectives are rendezvous points.
//
// The order in which threads run between rendezvous is shuffled by a seed, and shared memory is filled with NaNs before
// each block, so that a kernel which needs a barrier it does not have gives a wrong result under some seed.
// The functions at the end are what emulated code calls; they act on the block that runs on this thread.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_BLOCKSCHEDULER_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_BLOCKSCHEDULER_H

#include "compiler/codegen/nvidia/emulator/Fiber.h"
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace oriel::codegen::nvidia {

class BlockScheduler {
public:
  BlockScheduler(int64_t threads, uint64_t seed);

  /// Runs `thread` once per thread of block (x, y, z). Returns an empty string, or what went wrong.
  std::string runBlock(std::array<int64_t, 3> block, const std::function<void()> &thread);

  // Called from inside a running thread.
  int32_t threadIndex() const { return int32_t(current_); }
  int32_t blockIndex(int dim) const { return int32_t(block_[dim]); }
  void barrier();
  /// d = a·b + c for the lanes of a warp, in the fragment layout of mma.m16n8k16 with bf16 operands.
  void mma(const uint32_t *a, const uint32_t *b, const float *c, float *d);

  static BlockScheduler *running();

private:
  enum class State { Ready, AtBarrier, AtCollective, Done };
  struct Lane {
    std::array<uint32_t, 4> a;
    std::array<uint32_t, 2> b;
    std::array<float, 4> c, d;
  };

  void wait(State state);
  bool releaseBarrier();
  bool releaseWarps();
  void multiplyWarp(size_t first);

  std::vector<Fiber> fibers_;
  std::vector<State> states_;
  std::vector<Lane> lanes_;
  std::vector<size_t> order_;
  std::mt19937_64 random_;
  std::array<int64_t, 3> block_{};
  size_t current_ = 0;
};

} // namespace oriel::codegen::nvidia

extern "C" {
int32_t orielEmulatedThread();
int32_t orielEmulatedBlock(int32_t dim);
void orielEmulatedBarrier();
void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d);
float orielEmulatedExp2(float x);
float orielEmulatedLog2(float x);
float orielEmulatedRsqrt(float x);
uint16_t orielEmulatedRoundToBf16(float x);
}

#endif
