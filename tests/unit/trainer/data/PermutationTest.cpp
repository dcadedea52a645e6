// The stateless permutation: a bijection at every size, and shuffled.
#include "trainer/data/Permutation.h"

#include "gtest/gtest.h"

#include <cmath>
#include <vector>

namespace oriel::trainer {
namespace {

TEST(Permutation, IsABijectionAtEverySize) {
  for (int64_t size = 1; size <= 300; ++size)
    for (uint64_t key : {0, 1, 77}) {
      Permutation permutation(size, key);
      std::vector<bool> seen(static_cast<size_t>(size));
      for (int64_t i = 0; i < size; ++i) {
        int64_t image = permutation(i);
        ASSERT_TRUE(image >= 0 && image < size) << size;
        ASSERT_FALSE(seen[static_cast<size_t>(image)]) << "size " << size << " key " << key << " index " << i;
        seen[static_cast<size_t>(image)] = true;
      }
    }
}

TEST(Permutation, WorksAtLargeSizes) {
  const int64_t size = (int64_t(1) << 40) + 12345;
  Permutation permutation(size, 5);
  int64_t low = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    int64_t image = permutation(size - 1 - i);
    ASSERT_TRUE(image >= 0 && image < size);
    low += image < size / 2;
  }
  EXPECT_NEAR(static_cast<double>(low), 500, 5 * std::sqrt(250.0));
}

TEST(Permutation, KeysGiveUnrelatedOrders) {
  const int64_t size = 10000;
  Permutation a(size, 1), b(size, 2);
  int64_t equal = 0, fixed = 0, neighbours = 0;
  for (int64_t i = 0; i < size; ++i) {
    equal += a(i) == b(i);
    fixed += a(i) == i;
    neighbours += i > 0 && std::abs(a(i) - a(i - 1)) == 1;
  }
  EXPECT_LT(equal, 10) << "one is expected";
  EXPECT_LT(fixed, 10);
  EXPECT_LT(neighbours, 15) << "two are expected";
}

} // namespace
} // namespace oriel::trainer
