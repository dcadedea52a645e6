// One pass per placement, in plan order.
#include "runtime/memory/MemoryLayout.h"

#include "runtime/base/Bytes.h"

#include "absl/strings/str_cat.h"

namespace oriel::runtime {

static uint64_t alignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

MemoryLayout MemoryLayout::of(const plan::Plan &plan) {
  MemoryLayout layout;
  layout.offsets.resize(plan.buffers_size());
  layout.arenaBytes = alignUp(plan.arena_bytes());
  uint64_t top = layout.arenaBytes;
  auto place = [&](plan::Placement placement) {
    uint64_t start = top;
    for (int i = 0; i < plan.buffers_size(); ++i) {
      if (plan.buffers(i).placement() != placement)
        continue;
      layout.offsets[i] = top;
      top += alignUp(plan.buffers(i).bytes());
    }
    return top - start;
  };
  for (int i = 0; i < plan.buffers_size(); ++i)
    if (plan.buffers(i).placement() == plan::ARENA)
      layout.offsets[i] = plan.buffers(i).offset();
  layout.stateBytes = place(plan::STATE);
  layout.ioBytes = place(plan::IO);
  layout.constantBytes = place(plan::CONSTANT);
  layout.totalBytes = top;
  return layout;
}

std::string MemoryLayout::describe() const {
  return absl::StrCat(formatBytes(totalBytes), ": arena ", formatBytes(arenaBytes), ", state ", formatBytes(stateBytes),
                      ", io ", formatBytes(ioBytes), ", constants ", formatBytes(constantBytes));
}

} // namespace oriel::runtime
