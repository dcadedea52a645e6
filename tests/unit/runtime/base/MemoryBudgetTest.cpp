// The grammar of memory budgets.
#include "runtime/base/MemoryBudget.h"

#include "gtest/gtest.h"

namespace oriel::runtime {
namespace {

TEST(MemoryBudget, ReadsSizesAndEnds) {
  EXPECT_EQ(parseMemoryBudget("6GiB")->bytes, int64_t{6} << 30);
  EXPECT_EQ(parseMemoryBudget("1.5 GB")->bytes, 1500000000);
  EXPECT_EQ(parseMemoryBudget("800 MiB")->bytes, int64_t{800} << 20);
  EXPECT_EQ(parseMemoryBudget("123456789B")->bytes, 123456789);
  EXPECT_EQ(parseMemoryBudget("6GiB")->kind, MemoryBudget::Bytes);
  EXPECT_EQ(parseMemoryBudget("least")->kind, MemoryBudget::Least);
  EXPECT_EQ(parseMemoryBudget("unlimited")->kind, MemoryBudget::Unlimited);
  EXPECT_EQ(parseMemoryBudget("auto")->kind, MemoryBudget::Auto);
}

TEST(MemoryBudget, RefusesTheRestWithTheGrammar) {
  for (const char *text :
       {"", "6", "GiB", "6 gib", "-6GiB", "6GiB ", "0GiB", "1e9B", "1.2.3GiB", "most", "0.1B", "99999999TiB"}) {
    auto budget = parseMemoryBudget(text);
    ASSERT_FALSE(budget.ok()) << text;
    EXPECT_NE(budget.status().message().find("such as 6GiB"), std::string::npos);
  }
}

} // namespace
} // namespace oriel::runtime
