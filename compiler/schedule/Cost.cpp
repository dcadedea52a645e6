#include "compiler/schedule/Cost.h"

#include "compiler/schedule/ShippedDevices.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

namespace oriel::schedule {
namespace {

constexpr double unlimited = 1e18; // a side of the roofline that was never met

double productFlopsPerSecond(const ProductRate &rate, const Work &work) {
  auto share = [](double half, int64_t size) { return static_cast<double>(size) / (static_cast<double>(size) + half); };
  return rate.flopsPerSecond * share(rate.halfM, work.m) * share(rate.halfN, work.n) * share(rate.halfK, work.k);
}

/// The entry of `key`, else of `otherwise`, else null.
template <typename Map>
const typename Map::mapped_type *find(const Map &map, const std::string &key, const char *otherwise) {
  auto found = map.find(key);
  if (found == map.end())
    found = map.find(otherwise);
  return found == map.end() ? nullptr : &found->second;
}

/// A family in bf16 that was not measured runs at the rates of its f32 form, or at those of any in bf16.
const KernelRate *kernelRate(const DeviceDescriptor &device, std::string family) {
  size_t suffix = family.rfind("_bf16");
  bool isBf16 = suffix != std::string::npos;
  if (!device.kernels.contains(family) && isBf16)
    family.resize(suffix);
  return find(device.kernels, family, isBf16 && device.kernels.contains("*_bf16") ? "*_bf16" : "*");
}

} // namespace

DeviceDescriptor genericCpu() { return *shippedDevice("generic-cpu"); }

DeviceDescriptor withCores(DeviceDescriptor cpu, int64_t cores) {
  constexpr int64_t coresOfMemory = 8; // that a socket's memory has work for, about
  auto share = [](int64_t to, int64_t from) { return static_cast<double>(to) / static_cast<double>(from); };
  int64_t had = std::max<int64_t>(cpu.cores, 1);
  double arithmetic = share(cores, had), memory = share(std::min(cores, coresOfMemory), std::min(had, coresOfMemory));
  cpu.cores = cores;
  cpu.memoryBytesPerSecond *= memory;
  for (auto &[dtype, rate] : cpu.products)
    rate.flopsPerSecond *= arithmetic;
  for (auto &[family, rate] : cpu.kernels)
    rate = {rate.flopsPerSecond * arithmetic, rate.bytesPerSecond * memory};
  return cpu;
}

double Work::idleFactor(int64_t cores) const {
  if (cells <= 0 || cores <= 1)
    return 1;
  int64_t rounds = (cells + cores - 1) / cores;
  return static_cast<double>(rounds * cores) / static_cast<double>(cells);
}

double Work::idleFactor(int64_t cores, int64_t blocks, int64_t warps) const {
  if (cells <= 0 || blocks <= 0 || warps <= 0)
    return idleFactor(cores);
  int64_t onBusiest = (cells + cores - 1) / cores;
  // A wave of b blocks takes the time of b, or that of as many as have the warps for the full rate.
  double leastBlocks = static_cast<double>(warpsForFullRate) / static_cast<double>(warps);
  auto wave = [&](int64_t b) { return b > 0 ? std::max(static_cast<double>(b), leastBlocks) : 0; };
  double time = static_cast<double>(onBusiest / blocks) * wave(blocks) + wave(onBusiest % blocks);
  return static_cast<double>(cores) * time / static_cast<double>(cells);
}

double CostModel::idleFactor(const Work &work) const {
  auto block = blocks.find(work.action);
  if (!device.multiprocessor || block == blocks.end())
    return work.idleFactor(device.cores);
  return work.idleFactor(device.cores, occupancyOf(*device.multiprocessor, block->second).blocks,
                         warpsOf(block->second));
}

std::string_view boundName(Bound bound) {
  switch (bound) {
  case Bound::Arithmetic:
    return "arithmetic";
  case Bound::Memory:
    return "memory";
  case Bound::Launch:
    return "launch";
  case Bound::Measured:
    return "measured";
  }
  return "";
}

std::string familyOf(std::string_view symbol) {
  std::string family;
  std::set<std::string_view> said;
  for (size_t at = 0; at < symbol.size();) {
    size_t end = std::min(symbol.find('_', at), symbol.size());
    std::string_view word = symbol.substr(at, end - at);
    bool isSize =
        word != "bf16" && std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isdigit(c); });
    if (!isSize && said.insert(word).second)
      family.append(family.empty() ? "" : "_").append(word);
    at = end + 1;
  }
  return family.empty() ? std::string(symbol) : family;
}

Estimate CostModel::estimate(const Work &work) const {
  Estimate result;
  double flopsPerSecond = unlimited, bytesPerSecond = device.memoryBytesPerSecond;
  if (work.m > 0) {
    if (const ProductRate *rate = find(device.products, work.dtype, "f32"))
      flopsPerSecond = productFlopsPerSecond(*rate, work);
  } else if (const KernelRate *rate = kernelRate(device, familyOf(work.action))) {
    flopsPerSecond = rate->flopsPerSecond;
    bytesPerSecond = rate->bytesPerSecond;
  }
  double idle = idleFactor(work);
  result.arithmeticSeconds = idle * work.flops / flopsPerSecond;
  result.memorySeconds = idle * work.bytes / bytesPerSecond;
  double busy = std::max(result.arithmeticSeconds, result.memorySeconds);
  result.seconds = device.launchSeconds + busy;
  result.bound = busy < device.launchSeconds                       ? Bound::Launch
                 : result.arithmeticSeconds > result.memorySeconds ? Bound::Arithmetic
                                                                   : Bound::Memory;
  if (auto measured = record.seconds.find(work.action); measured != record.seconds.end()) {
    result.seconds = measured->second;
    result.bound = Bound::Measured;
  }
  return result;
}

std::string CostModel::use(TuningRecord other, const std::string &file) {
  if (other.device != device.name)
    return "the tuning record " + file + " is of the device '" + other.device + "' and this is '" + device.name +
           "': it is not used";
  record = std::move(other);
  return {};
}

} // namespace oriel::schedule
