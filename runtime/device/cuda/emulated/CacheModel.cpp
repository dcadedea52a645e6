#include "runtime/device/cuda/emulated/CacheModel.h"

#include "runtime/device/cuda/emulated/WarpRequests.h"

#include "absl/container/flat_hash_map.h"

#include <list>

namespace oriel::runtime::emulated {

namespace {

class SectorCache {
public:
  SectorCache(size_t sectors, std::vector<HbmBytes> &traffic) : capacity_(sectors), traffic_(traffic) {}

  /// A read fetches the sector unless all its bytes are here; a write needs nothing of what was there.
  void access(const TracedSector &access) {
    auto [found, isNew] = places_.try_emplace(access.sector);
    if (isNew)
      found->second = lines_.insert(lines_.begin(), Line{access.sector, access.buffer});
    else
      lines_.splice(lines_.begin(), lines_, found->second);
    Line &line = lines_.front();
    if (access.isWrite) {
      line.dirty |= access.bytes;
      line.present |= access.bytes;
    } else if ((access.bytes & ~line.present) != 0) {
      traffic_[static_cast<size_t>(line.buffer)].read += sectorBytes;
      line.present = ~0u;
    }
    if (lines_.size() > capacity_)
      pushOut();
  }

  void writeBack() {
    while (!lines_.empty())
      pushOut();
  }

private:
  struct Line {
    uintptr_t sector;
    int32_t buffer;
    uint32_t present = 0, dirty = 0; // by byte
  };

  void pushOut() {
    const Line &oldest = lines_.back();
    if (oldest.dirty)
      traffic_[static_cast<size_t>(oldest.buffer)].written += sectorBytes;
    places_.erase(oldest.sector);
    lines_.pop_back();
  }

  size_t capacity_;
  std::vector<HbmBytes> &traffic_;
  std::list<Line> lines_; // the one used last first
  absl::flat_hash_map<uintptr_t, std::list<Line>::iterator> places_;
};

struct RunningBlock {
  const BlockTrace *trace;
  size_t phase = 0;
};

} // namespace

/// The block's next phase; whether there is another.
static bool advance(RunningBlock &block, SectorCache &cache) {
  const std::vector<size_t> &ends = block.trace->phaseEnds;
  if (block.phase == ends.size())
    return false;
  size_t begin = block.phase == 0 ? 0 : ends[block.phase - 1];
  for (size_t i = begin; i < ends[block.phase]; ++i)
    cache.access(block.trace->sectors[i]);
  return ++block.phase < ends.size();
}

std::vector<HbmBytes> replay(const std::vector<BlockTrace> &blocks, const CacheModel &model, size_t buffers) {
  std::vector<HbmBytes> traffic(buffers);
  SectorCache cache(static_cast<size_t>(model.bytes / sectorBytes), traffic);
  std::list<RunningBlock> running;
  size_t next = 0;
  while (next < blocks.size() || !running.empty()) {
    while (next < blocks.size() && static_cast<int64_t>(running.size()) < model.blocksAtOnce)
      running.push_back({&blocks[next++]});
    for (auto block = running.begin(); block != running.end();)
      block = advance(*block, cache) ? std::next(block) : running.erase(block);
  }
  cache.writeBack();
  return traffic;
}

} // namespace oriel::runtime::emulated
