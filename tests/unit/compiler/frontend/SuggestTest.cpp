// Edit distance and suggestions.
#include "compiler/frontend/Suggest.h"

#include <gtest/gtest.h>

namespace oriel::frontend {
namespace {

TEST(Suggest, MeasuresEdits) {
  EXPECT_EQ(editDistance("rattention", "rattention", 3), 0u);
  EXPECT_EQ(editDistance("ratention", "rattention", 3), 1u);
  EXPECT_EQ(editDistance("heasd", "heads", 3), 1u) << "neighbours swapped";
  EXPECT_EQ(editDistance("kitten", "sitting", 5), 3u);
  EXPECT_EQ(editDistance("", "abc", 5), 3u);
  EXPECT_EQ(editDistance("abcdef", "uvwxyz", 3), 4u) << "cut off at limit + 1";
}

TEST(Suggest, OffersOnlyLikelySlips) {
  EXPECT_EQ(nearest("windwo", {"heads", "window"}), "window");
  EXPECT_EQ(nearest("attn", {"rattention", "attention"}), "attention") << "an abbreviation";
  EXPECT_EQ(nearest("mlp", {"gated_mlp"}), "gated_mlp");
  EXPECT_EQ(nearest("xyz", {"heads", "window"}), "");
  EXPECT_EQ(nearest("a", {"b"}), "") << "one letter for another is no likeness";
  EXPECT_EQ(didYouMean("silo", {"gelu", "silu"}), "; did you mean 'silu'?");
}

TEST(Suggest, ListsNames) {
  EXPECT_EQ(listOf({"a"}), "'a'");
  EXPECT_EQ(listOf({"a", "b", "c"}), "'a', 'b' or 'c'");
  EXPECT_EQ(listOf({"a", "b"}, "and"), "'a' and 'b'");
}

} // namespace
} // namespace oriel::frontend
