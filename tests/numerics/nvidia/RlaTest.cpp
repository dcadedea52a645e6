// The forward of residual linear attention on the emulator: against the recurrence in double precision at awkward
// sizes, and (when ORIEL_GOLDEN names the folder of reference tensors) against the golden cases.
#include "tests/support/nvidia/NvidiaTest.h"

#include "kernels/rattention/Rla.h"
#include "runtime/base/Files.h"
#include "trainer/checkpoint/Safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <unistd.h>

namespace oriel::testing {
namespace {

using kernels::FeatureMap;
using kernels::InitialState;
using kernels::RlaSpec;
using ::testing::HasSubstr;
using Floats = std::vector<float>;

struct Inputs {
  Floats q, k, v, h0; // BTHD; h0 [B,N,2D,E]
  std::vector<int32_t> docStart;
};

std::vector<double> featureMap(const float *x, int64_t d, FeatureMap map) {
  std::vector<double> phi(2 * d);
  for (int sign = 0; sign < 2; ++sign) {
    double total = 0, *half = &phi[sign * d];
    for (int64_t i = 0; i < d; ++i) {
      double value = sign ? -x[i] : x[i];
      half[i] = map == FeatureMap::Relu ? std::max(value, 0.0) : std::exp(value);
      total += half[i];
    }
    if (map == FeatureMap::Softmax)
      for (int64_t i = 0; i < d; ++i)
        half[i] /= total;
  }
  return phi;
}

/// o[t] = phi(q[t]) (h0 + sum of phi(k[i])ᵀ v[i], doc_start[t] <= i <= t - window - 1), one pair of tokens at a time.
Floats recurrence(const RlaSpec &s, const Inputs &in) {
  Floats o(s.batch * s.tokens * s.heads * s.valueDim);
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t n = 0; n < s.heads; ++n)
      for (int64_t t = 0; t < s.tokens; ++t) {
        int64_t kv = n / s.group(), row = (b * s.tokens + t);
        std::vector<double> phiQ = featureMap(&in.q[(row * s.heads + n) * s.headDim], s.headDim, s.featureMap),
                            sum(s.valueDim);
        if (s.initialState != InitialState::None)
          for (int64_t f = 0; f < 2 * s.headDim; ++f)
            for (int64_t e = 0; e < s.valueDim; ++e)
              sum[e] += phiQ[f] * in.h0[((b * s.heads + n) * 2 * s.headDim + f) * s.valueDim + e];
        for (int64_t i = s.documents ? in.docStart[row] : 0; i <= t - s.window - 1; ++i) {
          int64_t key = (b * s.tokens + i) * s.kvHeads + kv;
          std::vector<double> phiK = featureMap(&in.k[key * s.headDim], s.headDim, s.featureMap);
          double weight = 0;
          for (int64_t f = 0; f < 2 * s.headDim; ++f)
            weight += phiQ[f] * phiK[f];
          for (int64_t e = 0; e < s.valueDim; ++e)
            sum[e] += weight * in.v[key * s.valueDim + e];
        }
        std::copy(sum.begin(), sum.end(), &o[(row * s.heads + n) * s.valueDim]);
      }
  return o;
}

/// A chunk and a block of value columns whose tiles fit in the shared memory of one block.
RlaSpec scheduledForSm80(RlaSpec spec) {
  spec.chunk = spec.valueBlock = spec.headDim > 64 ? 16 : 32;
  return spec;
}

double relativeError(const Floats &got, const Floats &want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (double(got[i]) - want[i]) * (double(got[i]) - want[i]);
    norm += double(want[i]) * want[i];
  }
  return std::sqrt(difference / norm);
}

class NvidiaRlaTest : public NvidiaTest, public ::testing::WithParamInterface<RlaSpec> {
protected:
  LoweredKernels lowerRla(const RlaSpec &spec) {
    mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context_));
    mlir::OpBuilder builder(module->getBodyRegion());
    kernels::buildRla(builder, module->getLoc(), kernels::symbol(spec, "fwd"), spec);
    return lowerForNvidia(*module, NvidiaTarget::sm80());
  }

  Floats run(const RlaSpec &spec, Inputs in, uint64_t seed = 7) {
    auto code = compile(lowerRla(spec));
    Floats o(spec.batch * spec.tokens * spec.heads * spec.valueDim, NAN);
    if (!code)
      return o;
    std::vector<void *> buffers = {in.q.data(), in.k.data(), in.v.data()};
    if (spec.initialState != InitialState::None)
      buffers.push_back(in.h0.data());
    if (spec.documents)
      buffers.push_back(in.docStart.data());
    buffers.push_back(o.data());
    EXPECT_EQ(code->launch(0, buffers, seed), absl::OkStatus());
    return o;
  }
};

Inputs randomInputs(const RlaSpec &s) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  auto fill = [&](int64_t count) {
    Floats values(count);
    for (float &value : values)
      value = normal(random);
    return values;
  };
  Inputs in{fill(s.batch * s.tokens * s.heads * s.headDim),
            fill(s.batch * s.tokens * s.kvHeads * s.headDim),
            fill(s.batch * s.tokens * s.kvHeads * s.valueDim),
            fill(s.batch * s.heads * 2 * s.headDim * s.valueDim),
            {}};
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t t = 0; t < s.tokens; ++t)
      in.docStart.push_back(int32_t(t < s.tokens / 3 ? 0 : t < s.tokens / 2 ? s.tokens / 3 : s.tokens / 2));
  return in;
}

TEST_P(NvidiaRlaTest, EqualsTheRecurrence) {
  RlaSpec spec = scheduledForSm80(GetParam());
  Inputs in = randomInputs(spec);
  EXPECT_LT(relativeError(run(spec, in), recurrence(spec, in)), 1e-3); // tf32 operands
}

//                              B  T    N  KV D   E   window  map                  initial state             documents
INSTANTIATE_TEST_SUITE_P(
    Shapes, NvidiaRlaTest,
    ::testing::Values(RlaSpec{1, 63, 2, 1, 16, 16, 7, FeatureMap::Softmax, InitialState::None, false},
                      RlaSpec{2, 65, 4, 2, 24, 40, -1, FeatureMap::Softmax, InitialState::PerBatchHead, false},
                      RlaSpec{1, 130, 2, 2, 6, 10, 0, FeatureMap::Relu, InitialState::PerBatchHead, false},
                      RlaSpec{1, 150, 2, 1, 64, 64, 31, FeatureMap::Softmax, InitialState::None, true}));

TEST_F(NvidiaRlaTest, UsesTensorCores) {
  EXPECT_THAT(lowerRla(scheduledForSm80({1, 256, 4, 2, 64, 64, 127})).ptx(),
              HasSubstr("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"));
}

TEST_F(NvidiaRlaTest, GoldenCases) {
  const char *folder = std::getenv("ORIEL_GOLDEN");
  if (!folder)
    GTEST_SKIP() << "ORIEL_GOLDEN is not set: no golden cases were run";
  int cases = 0;
  for (const auto &entry : std::filesystem::directory_iterator(std::string(folder) + "/rla_op")) {
    auto file = trainer::SafetensorsFile::open(entry.path());
    ASSERT_TRUE(file.ok()) << file.status();
    const auto &meta = file->metadata();
    auto shape = [&](const char *name) { return file->find(name)->shape; };
    RlaSpec spec{shape("q")[0], shape("q")[2], shape("q")[1], shape("k")[1], shape("q")[3], shape("v")[3]};
    spec.window = std::stoll(meta.at("window"));
    spec.featureMap = meta.at("feature_map") == "relu" ? FeatureMap::Relu : FeatureMap::Softmax;
    spec.initialState = InitialState::PerBatchHead;
    spec = scheduledForSm80(spec);
    auto toBTHD = [&](const char *name) {
      Floats from = file->find(name)->toFloats(), to(from.size());
      auto s = shape(name);
      for (int64_t b = 0; b < s[0]; ++b)
        for (int64_t h = 0; h < s[1]; ++h)
          for (int64_t t = 0; t < s[2]; ++t)
            std::copy_n(&from[((b * s[1] + h) * s[2] + t) * s[3]], s[3], &to[((b * s[2] + t) * s[1] + h) * s[3]]);
      return to;
    };
    Inputs in{toBTHD("q"), toBTHD("k"), toBTHD("v"), file->find("h0")->toFloats(), {}};
    Floats want = toBTHD("o");
    EXPECT_LT(relativeError(run(spec, in), want), 1e-3) << entry.path();
    ++cases;
  }
  EXPECT_GT(cases, 0);
}

} // namespace
} // namespace oriel::testing
