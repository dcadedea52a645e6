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

std::string_view boundName(Bound bound) {
  switch (bound) {
  case Bound::Arithmetic:
    return "arithmetic";
  case Bound::Memory:
    return "memory";
  case Bound::Cache:
    return "L2";
  case Bound::Latency:
    return "latency";
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

namespace {

/// The most of the terms, on top of the launch, or what was measured.
Estimate concluded(Estimate estimate, const CostModel &model, const std::string &action) {
  struct Term {
    double seconds;
    Bound bound;
  } terms[] = {{estimate.memorySeconds, Bound::Memory},
               {estimate.arithmeticSeconds, Bound::Arithmetic},
               {estimate.cacheSeconds, Bound::Cache},
               {estimate.latencySeconds, Bound::Latency}};
  Term most = *std::max_element(std::begin(terms), std::end(terms),
                                [](const Term &a, const Term &b) { return a.seconds < b.seconds; });
  estimate.seconds = model.device.launchSeconds + most.seconds;
  estimate.bound = most.seconds < model.device.launchSeconds ? Bound::Launch : most.bound;
  if (auto measured = model.record.seconds.find(action); measured != model.record.seconds.end()) {
    estimate.seconds = measured->second;
    estimate.bound = Bound::Measured;
  }
  return estimate;
}

/// The rate of a kernel's arithmetic and of its bytes.
KernelRate rateOf(const DeviceDescriptor &device, const Work &work) {
  if (const KernelRate *rate = kernelRate(device, familyOf(work.action)))
    return *rate;
  return {unlimited, device.memoryBytesPerSecond};
}

/// The waves in which the busiest multiprocessor runs its cells, `blocks` at a time, each of which takes `timeOf(b)`.
template <typename TimeOf> double inWaves(int64_t cells, int64_t cores, int64_t blocks, TimeOf timeOf) {
  int64_t onBusiest = (cells + cores - 1) / cores, rest = onBusiest % blocks;
  return static_cast<double>(onBusiest / blocks) * timeOf(static_cast<double>(blocks)) +
         (rest > 0 ? timeOf(static_cast<double>(rest)) : 0);
}

} // namespace

Estimate CostModel::estimate(const Work &work) const {
  if (auto code = blocks.find(work.action); code != blocks.end() && device.multiprocessor && work.cells > 0)
    return estimate(work, code->second);
  Estimate result;
  KernelRate rate{unlimited, device.memoryBytesPerSecond};
  if (work.m > 0) {
    if (const ProductRate *product = find(device.products, work.dtype, "f32"))
      rate.flopsPerSecond = productFlopsPerSecond(*product, work);
  } else {
    rate = rateOf(device, work);
  }
  double idle = work.idleFactor(device.cores);
  result.arithmeticSeconds = idle * work.flops / rate.flopsPerSecond;
  result.memorySeconds = idle * work.bytes / rate.bytesPerSecond;
  return concluded(result, *this, work.action);
}

/// A multiprocessor runs b cells at a time. They share its arithmetic and its part of memory and cache, of which fewer than
/// `warpsForFullRate` warps cannot use all. Alone, a cell waits `latency` in each of its rounds and then works; with
/// copies started ahead, as many rounds as there are stages wait together.
Estimate CostModel::estimate(const Work &work, const BlockCode &code) const {
  int64_t held = device.multiprocessor ? occupancyOf(*device.multiprocessor, code).blocks : 0;
  KernelRate rate = rateOf(device, work);
  double cells = static_cast<double>(std::max<int64_t>(work.cells, 1)), cores = static_cast<double>(device.cores);
  auto ofCell = [&](double seconds) { return seconds * cores / cells; }; // on one multiprocessor
  double least = static_cast<double>(warpsForFullRate) / static_cast<double>(warpsOf(code));
  auto shared = [&](double seconds) {
    return inWaves(work.cells, device.cores, std::max<int64_t>(held, 1),
                   [&](double b) { return std::max(b, least) * ofCell(seconds); });
  };
  double onWarpgroups = work.productFlops * code.warpgroupShare;
  double arithmetic = (work.flops - onWarpgroups + onWarpgroups / device.warpgroupFactor) / rate.flopsPerSecond;
  Estimate result;
  result.arithmeticSeconds = shared(arithmetic);
  result.memorySeconds = shared(work.bytes / rate.bytesPerSecond);
  if (const auto &transfer = device.transfer) {
    result.cacheSeconds = shared(work.cellBytes / transfer->bytesPerSecond);
    double alone = std::max(least, 1.0) * ofCell(arithmetic), waiting = work.rounds / cells * transfer->latencySeconds;
    double stages = static_cast<double>(std::max<int64_t>(code.stages, 1));
    result.latencySeconds = inWaves(work.cells, device.cores, std::max<int64_t>(held, 1),
                                    [&](double) { return (waiting + alone) / stages; });
  }
  return concluded(result, *this, work.action);
}

std::string CostModel::use(TuningRecord other, const std::string &file) {
  if (other.device != device.name)
    return "the tuning record " + file + " is of the device '" + other.device + "' and this is '" + device.name +
           "': it is not used";
  record = std::move(other);
  return {};
}

} // namespace oriel::schedule
