#include "tests/support/compiled/LmCase.h"

#include "runtime/base/TemporaryFolder.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "trainer/verify/RunCase.h"

#include "gtest/gtest.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <random>

namespace oriel::testing {

namespace {

/// One generator per name: a tensor keeps its values when others join.
std::mt19937_64 generatorFor(const std::string &name) { return std::mt19937_64(std::hash<std::string>{}(name)); }

size_t elementsOf(const LmCase::Shape &shape) {
  size_t elements = 1;
  for (int64_t size : shape)
    elements *= static_cast<size_t>(size);
  return elements;
}

} // namespace

LmCase::Tensor LmCase::random(const std::string &name, const Shape &shape, double scale) {
  std::mt19937_64 generator = generatorFor(name);
  std::normal_distribution<double> normal;
  Tensor tensor{name, shape, /*isInteger=*/false, std::vector<float>(elementsOf(shape))};
  for (float &value : tensor.values)
    value = static_cast<float>(scale * normal(generator));
  return tensor;
}

LmCase::Value LmCase::input(const std::string &name, const Shape &shape, double scale) {
  wrt_.push_back(static_cast<int>(arguments_.size()));
  gradientNames_.push_back("d" + name);
  return given(random(name, shape, scale));
}

LmCase::Value LmCase::positive(const std::string &name, const Shape &shape) {
  Value value = input(name, shape);
  for (float &x : arguments_.back().values)
    x = std::abs(x) + 0.1f;
  return value;
}

LmCase::Value LmCase::given(Tensor tensor) {
  arguments_.push_back(std::move(tensor));
  return function_.addArgument(arguments_.back().shape, arguments_.back().isInteger);
}

LmCase::Value LmCase::documents(const std::vector<std::vector<int64_t>> &rows) {
  Tensor starts{"doc_start", {static_cast<int64_t>(rows.size()), 0}, /*isInteger=*/true, {}};
  for (const std::vector<int64_t> &lengths : rows) {
    int64_t start = 0;
    for (int64_t length : lengths) {
      starts.values.insert(starts.values.end(), static_cast<size_t>(length), static_cast<float>(start));
      start += length;
    }
    starts.shape[1] = start;
  }
  return given(std::move(starts));
}

LmCase::Value LmCase::integers(const std::string &name, const Shape &shape, int64_t first, int64_t last) {
  std::mt19937_64 generator = generatorFor(name);
  Tensor tensor{name, shape, /*isInteger=*/true, std::vector<float>(elementsOf(shape))};
  for (float &value : tensor.values)
    value = static_cast<float>(first + static_cast<int64_t>(generator() % static_cast<uint64_t>(last - first + 1)));
  return given(std::move(tensor));
}

void LmCase::result(const std::string &name, const Value &value, bool hasCotangent) {
  results_.push_back(value);
  resultNames_.push_back(name);
  hasCotangent_.push_back(hasCotangent);
  if (hasCotangent)
    cotangents_.push_back(random("d" + name, value.shape, 1));
}

std::vector<LmCase::Tensor> LmCase::arguments() const {
  std::vector<Tensor> all = arguments_;
  all.insert(all.end(), cotangents_.begin(), cotangents_.end());
  return all;
}

LmCase::Tensor &LmCase::argument(const std::string &name) {
  for (std::vector<Tensor> *tensors : {&arguments_, &cotangents_})
    for (Tensor &tensor : *tensors)
      if (tensor.name == name)
        return tensor;
  ADD_FAILURE() << "the case has no argument " << name;
  return arguments_.front();
}

std::vector<std::string> LmCase::outputNames() const {
  std::vector<std::string> names = resultNames_;
  names.insert(names.end(), gradientNames_.begin(), gradientNames_.end());
  return names;
}

std::vector<int64_t> fillRow(int64_t tokens, const std::vector<int64_t> &pattern) {
  std::vector<int64_t> lengths;
  for (size_t i = 0; tokens > 0; ++i) {
    lengths.push_back(std::min(tokens, pattern[i % pattern.size()]));
    tokens -= lengths.back();
  }
  return lengths;
}

std::vector<std::vector<float>> runCompiled(const LmCase &c, const std::string &compiler) {
  auto folder = runtime::TemporaryFolder::create("oriel-lm-case");
  if (!folder.ok()) {
    ADD_FAILURE() << folder.status();
    return {};
  }
  std::vector<std::string> options;
  if (!c.schedule.empty()) {
    options = {"--schedule", folder->path() + "/schedule.mlir"};
    std::ofstream(options[1]) << c.schedule;
  }
  auto device = runtime::createCpuDevice({/*threads=*/2, /*firstCore=*/-1});
  if (!device.ok()) {
    ADD_FAILURE() << device.status();
    return {};
  }
  auto outputs = trainer::runText(c.text(), c.arguments(), {device->get(), compiler, folder->path(), options});
  if (!outputs.ok()) {
    ADD_FAILURE() << outputs.status() << "\n" << c.text();
    return {};
  }
  return *std::move(outputs);
}

} // namespace oriel::testing
