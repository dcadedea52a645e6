// Calibration: rates out of measurements.
#include "compiler/schedule/Cost.h"

#include <algorithm>
#include <cmath>

namespace oriel::schedule {
namespace {

double median(std::vector<double> numbers) {
  auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

/// Median rate of `amount` per second, and how far the measurements scatter around it (mean |log|).
struct Fit {
  double rate = 0, scatter = INFINITY;
};

template <typename Amount> Fit fitRate(const std::vector<Measurement> &measurements, double launch, Amount amount) {
  std::vector<double> rates;
  for (const Measurement &measurement : measurements)
    if (double done = amount(measurement.work); done > 0)
      rates.push_back(done / std::max(measurement.seconds - launch, 0.05 * measurement.seconds));
  if (rates.size() < measurements.size() || rates.empty())
    return {};
  Fit fit{median(rates), 0};
  for (double rate : rates)
    fit.scatter += std::abs(std::log(rate / fit.rate)) / static_cast<double>(rates.size());
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

/// A side of the roofline that the family never met keeps the prior's rate, or one that is never met.
KernelRate fitKernel(const std::vector<Measurement> &measurements, double launch) {
  constexpr double unlimited = 1e18;
  Fit flops = fitRate(measurements, launch, [](const Work &work) { return work.flops; });
  Fit bytes = fitRate(measurements, launch, [](const Work &work) { return work.bytes; });
  if (flops.scatter < bytes.scatter)
    return {flops.rate, unlimited};
  return {unlimited, bytes.rate};
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
    if (KernelRate rate = fitKernel(list, prior.launchSeconds);
        std::isfinite(rate.flopsPerSecond) && rate.bytesPerSecond > 0)
      prior.kernels[family] = rate;
  return prior;
}

} // namespace oriel::schedule
