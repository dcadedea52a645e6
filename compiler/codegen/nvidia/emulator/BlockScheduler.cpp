#include "compiler/codegen/nvidia/emulator/BlockScheduler.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace oriel::codegen::nvidia {

static thread_local BlockScheduler *active = nullptr;
static constexpr size_t warpSize = 32;

BlockScheduler *BlockScheduler::running() { return active; }

BlockScheduler::BlockScheduler(int64_t threads, uint64_t seed)
    : fibers_(threads), states_(threads), lanes_(threads), order_(threads), random_(seed) {
  std::iota(order_.begin(), order_.end(), 0);
}

std::string BlockScheduler::runBlock(std::array<int64_t, 3> block, const std::function<void()> &thread) {
  block_ = block;
  active = this;
  for (Fiber &fiber : fibers_)
    fiber.start(thread);
  std::fill(states_.begin(), states_.end(), State::Ready);
  bool progress = true;
  while (progress) {
    progress = false;
    std::shuffle(order_.begin(), order_.end(), random_);
    for (size_t index : order_) {
      if (states_[index] != State::Ready)
        continue;
      progress = true;
      current_ = index;
      fibers_[index].resume();
      if (fibers_[index].finished())
        states_[index] = State::Done;
    }
    progress |= releaseWarps();
    progress |= releaseBarrier();
  }
  active = nullptr;
  auto count = [&](State state) { return std::count(states_.begin(), states_.end(), state); };
  if (count(State::Done) == std::ptrdiff_t(states_.size()))
    return {};
  return "divergent threads in block (" + std::to_string(block[0]) + ", " + std::to_string(block[1]) + ", " +
         std::to_string(block[2]) + "): " + std::to_string(count(State::AtBarrier)) + " wait at a barrier, " +
         std::to_string(count(State::AtCollective)) + " at a warp collective, " + std::to_string(count(State::Done)) +
         " have ended";
}

void BlockScheduler::wait(State state) {
  size_t self = current_;
  states_[self] = state;
  fibers_[self].suspend();
}

void BlockScheduler::barrier() { wait(State::AtBarrier); }

bool BlockScheduler::releaseBarrier() {
  if (!std::all_of(states_.begin(), states_.end(), [](State s) { return s == State::AtBarrier; }))
    return false;
  std::fill(states_.begin(), states_.end(), State::Ready);
  return true;
}

bool BlockScheduler::releaseWarps() {
  bool released = false;
  for (size_t first = 0; first < states_.size(); first += warpSize) {
    auto begin = states_.begin() + first, end = begin + warpSize;
    if (!std::all_of(begin, end, [](State s) { return s == State::AtCollective; }))
      continue;
    multiplyWarp(first);
    std::fill(begin, end, State::Ready);
    released = true;
  }
  return released;
}

static float bf16(uint32_t packed, int half) {
  return std::bit_cast<float>(half ? packed & 0xffff0000u : packed << 16);
}

/// Gathers A [16,16] and B [16,8] from the lanes' fragments, multiplies, and hands the result back.
void BlockScheduler::multiplyWarp(size_t first) {
  float a[16][16], b[16][8];
  for (size_t lane = 0; lane < warpSize; ++lane) {
    const Lane &from = lanes_[first + lane];
    size_t group = lane / 4, pair = lane % 4 * 2;
    for (int half : {0, 1}) {
      for (int reg = 0; reg < 4; ++reg)
        a[group + (reg % 2) * 8][pair + (reg / 2) * 8 + half] = bf16(from.a[reg], half);
      for (int reg = 0; reg < 2; ++reg)
        b[pair + reg * 8 + half][group] = bf16(from.b[reg], half);
    }
  }
  for (size_t lane = 0; lane < warpSize; ++lane) {
    Lane &to = lanes_[first + lane];
    for (int i = 0; i < 4; ++i) {
      size_t row = lane / 4 + (i / 2) * 8, col = lane % 4 * 2 + i % 2;
      float sum = to.c[i];
      for (int k = 0; k < 16; ++k)
        sum += a[row][k] * b[k][col];
      to.d[i] = sum;
    }
  }
}

void BlockScheduler::mma(const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  Lane &lane = lanes_[current_];
  std::copy_n(a, 4, lane.a.begin());
  std::copy_n(b, 2, lane.b.begin());
  std::copy_n(c, 4, lane.c.begin());
  wait(State::AtCollective);
  std::copy_n(lane.d.begin(), 4, d);
}

} // namespace oriel::codegen::nvidia

using oriel::codegen::nvidia::BlockScheduler;

int32_t orielEmulatedThread() { return BlockScheduler::running()->threadIndex(); }
int32_t orielEmulatedBlock(int32_t dim) { return BlockScheduler::running()->blockIndex(dim); }
void orielEmulatedBarrier() { BlockScheduler::running()->barrier(); }
void orielEmulatedMma(const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  BlockScheduler::running()->mma(a, b, c, d);
}
float orielEmulatedExp2(float x) { return std::exp2(x); }
float orielEmulatedLog2(float x) { return std::log2(x); }
float orielEmulatedRsqrt(float x) { return 1.0f / std::sqrt(x); }

/// To nearest, ties to even; NaN stays NaN.
uint16_t orielEmulatedRoundToBf16(float x) {
  auto bits = std::bit_cast<uint32_t>(x);
  if (x != x)
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
