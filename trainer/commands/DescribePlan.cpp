#include "trainer/commands/DescribePlan.h"

#include "trainer/optimizer/Parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

namespace oriel::trainer {
namespace {

double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

const char *nameOf(plan::Placement placement) {
  switch (placement) {
  case plan::ARENA:
    return "arena";
  case plan::STATE:
    return "state";
  case plan::IO:
    return "io";
  case plan::CONSTANT:
    return "constant";
  default:
    return "?";
  }
}

std::map<plan::Placement, uint64_t> bytesByPlacement(const plan::Plan &plan) {
  std::map<plan::Placement, uint64_t> bytes;
  for (const plan::Buffer &buffer : plan.buffers())
    if (buffer.placement() != plan::ARENA)
      bytes[buffer.placement()] += buffer.bytes();
  bytes[plan::ARENA] = plan.arena_bytes();
  return bytes;
}

std::string describeEntry(const plan::EntryPoint &entry) {
  double flops = 0, moved = 0;
  for (const plan::Step &step : entry.steps()) {
    flops += step.flops();
    moved += step.bytes_moved();
  }
  return fmt::format("  {:<12} {:>5} steps {:>10.3f} GFLOP {:>10.1f} MB moved {:>10.1f} MiB arena\n", entry.name(),
                     entry.steps_size(), flops / 1e9, moved / 1e6, mib(entry.arena_bytes()));
}

} // namespace

uint64_t memoryOf(const plan::Plan &plan) {
  uint64_t total = 0;
  for (const auto &[placement, bytes] : bytesByPlacement(plan))
    total += bytes;
  return total;
}

std::string describePlan(const plan::Plan &plan, int64_t buffers) {
  std::string text = fmt::format("model {} ({} parameters, vocabulary {}), micro-batch {} x {} tokens\n", plan.model(),
                                 parameterCount(plan), plan.vocab(), plan.batch(), plan.tokens());
  std::string mesh;
  for (const plan::MeshAxis &axis : plan.mesh())
    mesh += fmt::format(" {}={}", axis.name(), axis.size());
  const plan::Target &target = plan.target();
  text += fmt::format("mesh{}; target {} {}; fingerprint {}\n", mesh.empty() ? " of one rank" : mesh, target.kind(),
                      target.kind() == "nvidia" ? target.chip() : target.cpu(), plan.fingerprint());
  text += fmt::format("{:.2f} MFLOP per trained token\n", plan.flops_per_token() / 1e6);
  text += fmt::format("peak memory per rank {:.1f} MiB:", mib(memoryOf(plan)));
  for (const auto &[placement, bytes] : bytesByPlacement(plan))
    text += fmt::format(" {} {:.1f}", nameOf(placement), mib(bytes));
  text += "\nentry points\n";
  for (const plan::EntryPoint &entry : plan.entry_points())
    text += describeEntry(entry);

  std::vector<const plan::Buffer *> largest;
  for (const plan::Buffer &buffer : plan.buffers())
    largest.push_back(&buffer);
  std::stable_sort(largest.begin(), largest.end(), [](auto *a, auto *b) { return a->bytes() > b->bytes(); });
  largest.resize(std::min<size_t>(largest.size(), static_cast<size_t>(std::max<int64_t>(buffers, 0))));
  if (!largest.empty())
    text += fmt::format("largest buffers ({} of {})\n", largest.size(), plan.buffers_size());
  for (const plan::Buffer *buffer : largest)
    text += fmt::format("  {:<44} {:<8} {:>10.2f} MiB at {:>12}  [{}]\n", buffer->name(), nameOf(buffer->placement()),
                        mib(buffer->bytes()), buffer->offset(), fmt::join(buffer->shape(), ", "));
  return text;
}

} // namespace oriel::trainer
