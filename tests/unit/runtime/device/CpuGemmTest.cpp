// Holds the library behind Device::gemm to two promises: right results for every layout, and the same bits for every
// number of threads and every repeat, at language-model shapes above all (a weight gradient sums over tokens: long K).
#include "runtime/device/cpu/CpuDevice.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>

namespace oriel::runtime {
namespace {

std::vector<float> randomFloats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

/// Round to nearest, ties to even; values here are finite.
uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float fromBf16(uint16_t value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// One product with its operands; values of bf16 matrices are rounded in `a`, `b` and `c` already.
struct Product {
  GemmSpec spec;
  std::vector<float> a, b, c;
  std::vector<uint16_t> aBf16, bBf16, cBf16;

  explicit Product(const GemmSpec &given) : spec(given) {
    a = randomFloats(static_cast<size_t>((spec.transposeA ? spec.k : spec.m) * spec.lda), 1);
    b = randomFloats(static_cast<size_t>((spec.transposeB ? spec.n : spec.k) * spec.ldb), 2);
    c = randomFloats(static_cast<size_t>(spec.m * spec.ldc), 3);
    if (spec.dtype == DType::BF16) {
      round(a, aBf16);
      round(b, bBf16);
    }
    if (spec.cDType == DType::BF16)
      round(c, cBf16);
  }

  static void round(std::vector<float> &values, std::vector<uint16_t> &rounded) {
    for (float &value : values) {
      rounded.push_back(toBf16(value));
      value = fromBf16(rounded.back());
    }
  }

  /// Makes what lies between the rows of a and b NaN.
  void spoilPadding() {
    auto spoil = [](std::vector<float> &values, std::vector<uint16_t> &rounded, int64_t columns, int64_t leading) {
      for (size_t i = 0; i < values.size(); ++i)
        if (static_cast<int64_t>(i) % leading >= columns) {
          values[i] = NAN;
          if (!rounded.empty())
            rounded[i] = 0x7fc0;
        }
    };
    spoil(a, aBf16, spec.transposeA ? spec.m : spec.k, spec.lda);
    spoil(b, bBf16, spec.transposeB ? spec.k : spec.n, spec.ldb);
  }

  std::vector<float> run(int threads) const {
    auto device = *createCpuDevice({threads, -1});
    auto gemm = device->prepareGemm(spec);
    EXPECT_TRUE(gemm.ok()) << gemm.status();
    std::vector<float> result = c;
    bool narrow = spec.dtype == DType::BF16;
    const void *aData = narrow ? static_cast<const void *>(aBf16.data()) : a.data();
    const void *bData = narrow ? static_cast<const void *>(bBf16.data()) : b.data();
    if (cBf16.empty()) {
      EXPECT_TRUE(device->gemm(**gemm, aData, bData, result.data()).ok());
      return result;
    }
    std::vector<uint16_t> narrowResult = cBf16;
    EXPECT_TRUE(device->gemm(**gemm, aData, bData, narrowResult.data()).ok());
    std::transform(narrowResult.begin(), narrowResult.end(), result.begin(), fromBf16);
    return result;
  }

  double expected(int64_t row, int64_t column) const {
    double sum = spec.beta * c[static_cast<size_t>(row * spec.ldc + column)];
    for (int64_t i = 0; i < spec.k; ++i) {
      double left = a[static_cast<size_t>(spec.transposeA ? i * spec.lda + row : row * spec.lda + i)];
      double right = b[static_cast<size_t>(spec.transposeB ? column * spec.ldb + i : i * spec.ldb + column)];
      sum += left * right;
    }
    return sum;
  }
};

GemmSpec makeSpec(int64_t m, int64_t n, int64_t k, bool transposeA, bool transposeB, float beta, int64_t padding = 0) {
  GemmSpec spec;
  spec.m = m, spec.n = n, spec.k = k;
  spec.transposeA = transposeA, spec.transposeB = transposeB, spec.beta = beta;
  spec.lda = (transposeA ? m : k) + padding;
  spec.ldb = (transposeB ? k : n) + padding;
  spec.ldc = n + padding;
  return spec;
}

TEST(CpuGemm, IsRightForEveryLayout) {
  const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {64, 48, 96}, {33, 130, 257}, {1, 200, 64}, {200, 1, 64}};
  for (auto [m, n, k] : sizes)
    for (int layout = 0; layout < 16; ++layout) {
      Product product(makeSpec(m, n, k, layout & 1, layout & 2, layout & 4 ? 1 : 0, layout & 8 ? 5 : 0));
      std::vector<float> result = product.run(2);
      for (int64_t row = 0; row < m; ++row)
        for (int64_t column = 0; column < product.spec.ldc; ++column) {
          size_t at = static_cast<size_t>(row * product.spec.ldc + column);
          if (column < n)
            ASSERT_NEAR(result[at], product.expected(row, column), 1e-6 * static_cast<double>(k) + 1e-6)
                << m << "x" << n << "x" << k << " layout " << layout;
          else
            ASSERT_EQ(result[at], product.c[at]) << "padding was written";
        }
    }
}

TEST(CpuGemm, AddsRangesOfALongKInOrder) {
  for (auto [m, n, k, padding] : {std::array<int64_t, 4>{40, 48, 8192, 0}, {33, 17, 5000, 3}, {300, 260, 2100, 7}})
    for (float beta : {0.0f, 1.0f}) {
      Product product(makeSpec(m, n, k, true, false, beta, padding));
      std::vector<float> result = product.run(2);
      for (int64_t row = 0; row < m; row += 7)
        for (int64_t column = 0; column < product.spec.ldc; ++column) {
          size_t at = static_cast<size_t>(row * product.spec.ldc + column);
          if (column < n)
            ASSERT_NEAR(result[at], product.expected(row, column), 1e-6 * static_cast<double>(k));
          else
            ASSERT_EQ(result[at], product.c[at]) << "padding was written";
        }
    }
}

// Few rows and many, edges of every kind, K odd and longer than a block of it, columns in several blocks, pieces below
// each other that share what is packed.
TEST(CpuGemm, MultipliesBf16InEveryLayout) {
  const int64_t sizes[][3] = {{1, 1, 1},      {48, 80, 300},  {64, 32, 64},     {71, 33, 101}, {131, 50, 6},
                              {65, 17, 2500}, {70, 700, 600}, {300, 300, 2100}, {600, 96, 64}, {1100, 300, 34}};
  for (auto [m, n, k] : sizes)
    for (int layout = 0; layout < 32; ++layout) {
      GemmSpec spec = makeSpec(m, n, k, layout & 1, layout & 2, layout & 4 ? 1 : 0, layout & 8 ? 5 : 0);
      spec.dtype = DType::BF16;
      spec.cDType = layout & 16 ? DType::BF16 : DType::F32;
      Product product(spec);
      std::vector<float> result = product.run(2);
      double rounding = spec.cDType == DType::BF16 ? 1.0 / 256 : 0;
      for (int64_t row = 0; row < m; row += 1 + m / 40)
        for (int64_t column = 0; column < spec.ldc; ++column) {
          size_t at = static_cast<size_t>(row * spec.ldc + column);
          if (column >= n) {
            ASSERT_EQ(result[at], product.c[at]) << "padding was written";
            continue;
          }
          double expected = product.expected(row, column);
          ASSERT_NEAR(result[at], expected, 1e-6 * static_cast<double>(k) + 1e-6 + rounding * std::abs(expected))
              << m << "x" << n << "x" << k << " layout " << layout << " at " << row << ", " << column;
        }
    }
}

TEST(CpuGemm, TakesNothingFromPadding) {
  for (DType dtype : {DType::F32, DType::BF16})
    for (int layout = 0; layout < 4; ++layout) {
      GemmSpec spec = makeSpec(75, 45, layout & 1 ? 91 : 92, layout & 1, layout & 2, 1, 3);
      spec.dtype = dtype;
      Product product(spec);
      product.spoilPadding();
      for (float value : product.run(2))
        ASSERT_TRUE(std::isfinite(value)) << nameOf(dtype) << " layout " << layout;
    }
}

struct Shape {
  const char *name;
  GemmSpec spec;
};

const Shape shapes[] = {
    // x·Wᵀ of a linear layer, dY·W, and dYᵀ·X (K = tokens) accumulated onto earlier micro-batches.
    {"forward2048", makeSpec(2048, 768, 256, false, true, 0)},
    {"forward8192", makeSpec(8192, 768, 256, false, true, 0)},
    {"unembed", makeSpec(1024, 4096, 256, false, true, 0)},
    {"inputGradient", makeSpec(2048, 256, 768, false, false, 0)},
    {"weightGradient2048", makeSpec(768, 256, 2048, true, false, 1)},
    {"weightGradient8192", makeSpec(768, 256, 8192, true, false, 1)},
    {"weightGradientSquare8192", makeSpec(256, 256, 8192, true, false, 1)},
    {"weightGradientSmall8192", makeSpec(64, 64, 8192, true, false, 1)},
    {"weightGradientTiny8192", makeSpec(16, 32, 8192, true, false, 1)},
    {"weightGradientNew2048", makeSpec(192, 192, 2048, true, false, 0)},
    {"unembedGradient", makeSpec(4096, 256, 1024, true, false, 1)},
    {"odd", makeSpec(251, 67, 1023, false, true, 0)},
    {"oddWeightGradient", makeSpec(67, 251, 4097, true, false, 1)},
    {"oddPlain", makeSpec(77, 131, 8191, false, false, 1)},
    {"oneRow", makeSpec(1, 4096, 256, false, true, 0)},
    {"oneColumn", makeSpec(8192, 1, 256, false, true, 0)},
    {"oneRowLongK", makeSpec(1, 64, 8192, true, false, 1)},
    {"padded", makeSpec(300, 200, 2048, true, false, 1, 24)},
};

class CpuGemmBits : public ::testing::TestWithParam<std::tuple<Shape, DType>> {};

TEST_P(CpuGemmBits, DoNotDependOnThreadsOrRepeats) {
  GemmSpec spec = std::get<0>(GetParam()).spec;
  spec.dtype = std::get<1>(GetParam());
  Product product(spec);
  std::vector<float> one = product.run(1);
  for (int threads : {1, 2, 2, 3, 4}) {
    std::vector<float> other = product.run(threads);
    EXPECT_EQ(std::memcmp(one.data(), other.data(), one.size() * sizeof(float)), 0) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CpuGemmBits,
                         ::testing::Combine(::testing::ValuesIn(shapes), ::testing::Values(DType::F32, DType::BF16)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param).name) + nameOf(std::get<1>(info.param));
                         });

} // namespace
} // namespace oriel::runtime
