// First values and decay flags of the flat parameter vector.
#include "trainer/optimizer/Parameters.h"

#include "trainer/config/Suggest.h"
#include "trainer/optimizer/CounterRng.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace oriel::trainer {
namespace {

int64_t elementsOf(const plan::Parameter &parameter) {
  int64_t elements = 1;
  for (int64_t size : parameter.shape())
    elements *= size;
  return elements;
}

/// '*' stands for any characters; everything else for itself.
bool matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

/// Elements [begin, end) of a normal parameter into out[0 …).
void fillNormal(const plan::Parameter &parameter, uint64_t seed, int64_t begin, int64_t end, float *out) {
  NormalSequence normals(rngKey(seed, parameter.name()));
  const float std = static_cast<float>(parameter.init_std());
  for (int64_t block = begin / 4; block * 4 < end; ++block) {
    std::array<float, 4> values = normals.block(static_cast<uint64_t>(block));
    for (int64_t i = std::max(begin, block * 4); i < std::min(end, block * 4 + 4); ++i)
      out[i - begin] = std * values[i - block * 4];
  }
}

absl::Status checkInits(const plan::Plan &plan) {
  for (const plan::Parameter &parameter : plan.parameters())
    if (parameter.init() != "normal" && parameter.init() != "zeros" && parameter.init() != "ones")
      return absl::UnimplementedError(fmt::format("parameter '{}': unknown init '{}'; known are normal, zeros, ones",
                                                  parameter.name(), parameter.init()));
  return absl::OkStatus();
}

/// Elements [first, first + part.size()) of the whole vector, whatever parameters they belong to.
void fillPart(const plan::Plan &plan, uint64_t seed, int64_t first, std::span<float> part) {
  std::fill(part.begin(), part.end(), 0.0f);
  const int64_t last = first + static_cast<int64_t>(part.size());
  for (const plan::Parameter &parameter : plan.parameters()) {
    const int64_t offset = static_cast<int64_t>(parameter.offset());
    const int64_t begin = std::max(first, offset), end = std::min(last, offset + elementsOf(parameter));
    if (begin >= end)
      continue;
    float *out = part.data() + (begin - first);
    if (parameter.init() == "ones")
      std::fill(out, out + (end - begin), 1.0f);
    else if (parameter.init() == "normal")
      fillNormal(parameter, seed, begin - offset, end - offset, out);
  }
}

absl::Status checkPatterns(const plan::Plan &plan, std::span<const std::string> patterns) {
  std::vector<std::string> names;
  for (const plan::Parameter &parameter : plan.parameters())
    names.push_back(parameter.name());
  for (const std::string &pattern : patterns)
    if (std::none_of(names.begin(), names.end(), [&](const std::string &name) { return matches(pattern, name); }))
      return absl::InvalidArgumentError(
          fmt::format("optimizer.no_decay: '{}' matches no parameter{}", pattern, suggestion(pattern, names)));
  return absl::OkStatus();
}

} // namespace

absl::Status initializeParameters(const plan::Plan &plan, uint64_t seed, int64_t first, std::span<float> slice,
                                  int threads) {
  ORIEL_RETURN_IF_ERROR(checkInits(plan));
  constexpr size_t partElements = 4096; // some 100 us
  std::atomic<size_t> next = 0;
  auto takeParts = [&] {
    for (size_t begin; (begin = next.fetch_add(partElements)) < slice.size();)
      fillPart(plan, seed, first + static_cast<int64_t>(begin),
               slice.subspan(begin, std::min(partElements, slice.size() - begin)));
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < threads; ++i)
    helpers.emplace_back(takeParts);
  takeParts();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> decayMask(const plan::Plan &plan, std::span<const std::string> noDecay,
                                             int64_t first, int64_t count) {
  const int64_t block = static_cast<int64_t>(plan.parameter_block());
  if (block <= 0 || first % block != 0 || count % block != 0)
    return absl::InvalidArgumentError(
        fmt::format("slice [{}, {}) is not made of blocks of {} elements", first, first + count, block));
  ORIEL_RETURN_IF_ERROR(checkPatterns(plan, noDecay));
  std::vector<float> mask(static_cast<size_t>(count / block), 0.0f);
  for (const plan::Parameter &parameter : plan.parameters()) {
    auto excludes = [&](const std::string &pattern) { return matches(pattern, parameter.name()); };
    if (!parameter.decay() || std::any_of(noDecay.begin(), noDecay.end(), excludes))
      continue;
    const int64_t firstBlock = static_cast<int64_t>(parameter.offset()) / block;
    const int64_t endBlock = firstBlock + (elementsOf(parameter) + block - 1) / block;
    for (int64_t b = std::max(firstBlock, first / block); b < std::min(endBlock, (first + count) / block); ++b)
      mask[static_cast<size_t>(b - first / block)] = 1.0f;
  }
  return mask;
}

int64_t usedElements(const plan::Plan &plan) {
  int64_t used = 0;
  for (const plan::Parameter &parameter : plan.parameters())
    used = std::max(used, static_cast<int64_t>(parameter.offset()) + elementsOf(parameter));
  return used;
}

int64_t parameterCount(const plan::Plan &plan) {
  int64_t count = 0;
  for (const plan::Parameter &parameter : plan.parameters())
    count += elementsOf(parameter);
  return count;
}

} // namespace oriel::trainer
