// Tests how tables and the numbers in them are written.
#include "compiler/tune/Table.h"

#include <gtest/gtest.h>

namespace oriel::tune {
namespace {

TEST(TableTest, AlignsColumnsByCharactersAndNotByBytes) {
  Table table{{{"name", true}, {"ms"}}, {{"é", "1"}, {"long name", "10.5"}}};
  EXPECT_EQ(printText(table), "name         ms\n"
                              "───────────────\n"
                              "é             1\n"
                              "long name  10.5\n");
}

TEST(TableTest, EndsLongCellsWithAnEllipsis) {
  Table table{{{"name", true, 4}}, {{"abcd"}, {"abcde"}, {"äöüßé"}}};
  EXPECT_EQ(printText(table), "name\n────\nabcd\nabc…\näöü…\n");
}

TEST(TableTest, DrawsSharesAsBars) {
  Table table{{{"share"}}, {{Cell("a", 1)}, {Cell("b", 0.5)}, {Cell("c", 0)}}};
  std::string text = printText(table);
  EXPECT_NE(text.find("████████████      a\n"), std::string::npos) << text;
  EXPECT_NE(text.find("██████            b\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n                  c\n"), std::string::npos) << text;
  EXPECT_NE(printHtml(table).find("<rect width=\"50.0\""), std::string::npos);
}

TEST(TableTest, HtmlShowsNamesAsText) {
  Table table{{{"<name>", true}}, {{"a & b"}}};
  std::string html = printHtml(table);
  EXPECT_NE(html.find("<th class=\"text\">&lt;name&gt;</th>"), std::string::npos) << html;
  EXPECT_NE(html.find("<td class=\"text\">a &amp; b</td>"), std::string::npos) << html;
}

TEST(TableTest, TimesHaveThreeDigits) {
  EXPECT_EQ(formatSeconds(0), "0.00 us");
  EXPECT_EQ(formatSeconds(4.56e-6), "4.56 us");
  EXPECT_EQ(formatSeconds(456e-6), "456 us");
  EXPECT_EQ(formatSeconds(0.99996e-3), "1.00 ms");
  EXPECT_EQ(formatSeconds(0.0123), "12.3 ms");
  EXPECT_EQ(formatSeconds(0.9999), "1.00 s");
  EXPECT_EQ(formatSeconds(123.4), "123 s");
}

TEST(TableTest, LayersThatDifferInANumberAreWrittenTogether) {
  EXPECT_EQ(formatLayers({}), "");
  EXPECT_EQ(formatLayers({"loss"}), "loss");
  EXPECT_EQ(formatLayers({"layers.7.mlp"}), "layers.7.mlp");
  EXPECT_EQ(formatLayers({"layers.0.mlp", "layers.1.mlp", "layers.3.mlp", "layers.10.mlp"}), "layers.{0-1,3,10}.mlp");
  EXPECT_EQ(formatLayers({"embed", "layers.0.norm1", "layers.0.norm2", "layers.1.norm1"}),
            "embed, layers.{0-1}.norm1, layers.0.norm2");
}

} // namespace
} // namespace oriel::tune
