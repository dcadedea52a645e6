// Calibration: rates out of measurements.
#include "compiler/schedule/Cost.h"

#include <algorithm>
#include <cmath>

namespace oriel::schedule {
namespace {

/// A rate, and how much it counts.
struct Sample {
  double rate = 0, weight = 0;
};

/// The rate at which half of the weight is reached.
double median(std::vector<Sample> samples) {
  std::sort(samples.begin(), samples.end(), [](const Sample &a, const Sample &b) { return a.rate < b.rate; });
  double whole = 0, reached = 0;
  for (const Sample &sample : samples)
    whole += sample.weight;
  for (const Sample &sample : samples)
    if (reached += sample.weight; reached >= whole / 2)
      return sample.rate;
  return samples.back().rate;
}

/// Median rate of `amount` per second, and how far the measurements scatter around it (mean |log|). Each counts for the
/// time that it took: the whole step is what is predicted.
struct Fit {
  double rate = 0, scatter = INFINITY;
};

template <typename Amount> Fit fitRate(const std::vector<Measurement> &measurements, double launch, Amount amount) {
  std::vector<Sample> samples;
  double whole = 0;
  for (const Measurement &measurement : measurements)
    if (double done = amount(measurement.work); done > 0) {
      double busy = std::max(measurement.seconds - launch, 0.05 * measurement.seconds);
      samples.push_back({done / busy, measurement.seconds});
      whole += measurement.seconds;
    }
  if (samples.size() < measurements.size() || samples.empty())
    return {};
  Fit fit{median(samples), 0};
  for (const Sample &sample : samples)
    fit.scatter += std::abs(std::log(sample.rate / fit.rate)) * sample.weight / whole;
  return fit;
}

/// The rate of large products for given half sizes.
Fit fitProducts(const std::vector<Measurement> &measurements, double launch, const ProductRate &half) {
  return fitRate(measurements, launch, [&](const Work &work) {
    auto slowdown = [](double h, int64_t size) { return 1 + h / static_cast<double>(size); };
    return work.flops * slowdown(half.halfM, work.m) * slowdown(half.halfN, work.n) * slowdown(half.halfK, work.k);
  });
}

ProductRate searchProducts(const std::vector<Measurement> &measurements, double launch) {
  static constexpr double halves[] = {0, 4, 8, 16, 32, 64, 128, 256};
  ProductRate best;
  double leastScatter = INFINITY;
  for (double m : halves)
    for (double n : halves)
      for (double k : halves) {
        ProductRate half{0, m, n, k};
        Fit fit = fitProducts(measurements, launch, half);
        if (fit.scatter < leastScatter) {
          leastScatter = fit.scatter;
          half.flopsPerSecond = fit.rate;
          best = half;
        }
      }
  return best;
}

double fastestProducts(const DeviceDescriptor &device) {
  double fastest = 0;
  for (const auto &[dtype, rate] : device.products)
    fastest = std::max(fastest, rate.flopsPerSecond);
  return fastest;
}

/// A side of the roofline that the family never met keeps the prior's rate, or one that is never met.
KernelRate fitKernel(const std::vector<Measurement> &measurements, const DeviceDescriptor &device) {
  constexpr double unlimited = 1e18;
  auto fit = [&](double Work::*amount) {
    return fitRate(measurements, device.launchSeconds,
                   [&](const Work &work) { return work.*amount * work.idleFactor(device.cores); });
  };
  Fit flops = fit(&Work::flops), bytes = fit(&Work::bytes);
  bool isOneShape = std::abs(flops.scatter - bytes.scatter) < 1e-6; // then both explain as much: the nearer limit bounds
  bool isByFlops = isOneShape ? flops.rate / fastestProducts(device) > bytes.rate / device.memoryBytesPerSecond
                              : flops.scatter < bytes.scatter;
  return isByFlops ? KernelRate{flops.rate, unlimited} : KernelRate{unlimited, bytes.rate};
}

} // namespace

DeviceDescriptor fitDevice(DeviceDescriptor prior, const std::vector<Measurement> &measurements) {
  std::map<std::string, std::vector<Measurement>> products, kernels;
  for (const Measurement &measurement : measurements) {
    if (measurement.seconds <= 0)
      continue;
    const Work &work = measurement.work;
    (work.m > 0 ? products[work.dtype] : kernels[familyOf(work.action)]).push_back(measurement);
  }
  for (const auto &[dtype, list] : products)
    prior.products[dtype] = searchProducts(list, prior.launchSeconds);
  for (const auto &[family, list] : kernels)
    if (KernelRate rate = fitKernel(list, prior); std::isfinite(rate.flopsPerSecond) && rate.bytesPerSecond > 0)
      prior.kernels[family] = rate;
  return prior;
}

} // namespace oriel::schedule
