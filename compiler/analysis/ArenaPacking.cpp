#include "compiler/analysis/ArenaPacking.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace oriel::analysis {
namespace {

int64_t alignUp(int64_t bytes) { return (bytes + arenaAlignment - 1) / arenaAlignment * arenaAlignment; }

bool aliveTogether(const ArenaBlock &a, const ArenaBlock &b) {
  return a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
}

/// The lowest gap of at least `bytes` between `taken`, a list of [begin, end) sorted by begin.
int64_t lowestGap(const std::vector<std::pair<int64_t, int64_t>> &taken, int64_t bytes) {
  int64_t offset = 0;
  for (auto [begin, end] : taken) {
    if (begin - offset >= bytes)
      break;
    offset = std::max(offset, end);
  }
  return offset;
}

} // namespace

ArenaLayout packArena(const std::vector<ArenaBlock> &blocks) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  // Equal sizes keep their order of birth, so that the layout is the same on every machine.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  ArenaLayout layout;
  layout.offsets.assign(blocks.size(), 0);
  std::vector<size_t> placed;
  for (size_t i : order) {
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (size_t other : placed)
      if (aliveTogether(blocks[i], blocks[other]))
        taken.emplace_back(layout.offsets[other], layout.offsets[other] + alignUp(blocks[other].bytes));
    std::sort(taken.begin(), taken.end());
    layout.offsets[i] = lowestGap(taken, alignUp(blocks[i].bytes));
    layout.highWater = std::max(layout.highWater, layout.offsets[i] + alignUp(blocks[i].bytes));
    placed.push_back(i);
  }
  return layout;
}

int64_t largestLiveBytes(const std::vector<ArenaBlock> &blocks) {
  std::map<int64_t, int64_t> change; // step -> bytes born minus bytes dead
  for (const ArenaBlock &block : blocks) {
    change[block.firstStep] += alignUp(block.bytes);
    change[block.lastStep + 1] -= alignUp(block.bytes);
  }
  int64_t live = 0, largest = 0;
  for (auto [step, delta] : change)
    largest = std::max(largest, live += delta);
  return largest;
}

std::string verifyArena(const std::vector<ArenaBlock> &blocks, const ArenaLayout &layout) {
  if (layout.offsets.size() != blocks.size())
    return "the layout has " + std::to_string(layout.offsets.size()) + " offsets for " + std::to_string(blocks.size()) +
           " blocks";
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (layout.offsets[i] < 0 || layout.offsets[i] % arenaAlignment != 0)
      return "block " + std::to_string(i) + " lies at " + std::to_string(layout.offsets[i]) +
             ", which is not a multiple of 64";
    if (layout.offsets[i] + blocks[i].bytes > layout.highWater)
      return "block " + std::to_string(i) + " ends above the high-water mark";
    for (size_t j = 0; j < i; ++j) {
      bool apart = layout.offsets[i] + blocks[i].bytes <= layout.offsets[j] ||
                   layout.offsets[j] + blocks[j].bytes <= layout.offsets[i];
      if (!apart && aliveTogether(blocks[i], blocks[j]) && blocks[i].bytes > 0 && blocks[j].bytes > 0)
        return "blocks " + std::to_string(j) + " and " + std::to_string(i) + " overlap while both are alive";
    }
  }
  return {};
}

} // namespace oriel::analysis
