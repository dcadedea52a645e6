// Tests the drawings: what they show lies where the data say, and a page fetches nothing.
#include "compiler/tune/Chart.h"

#include <gtest/gtest.h>

namespace oriel::tune {
namespace {

Chart ramp() { return {"a < b", "step", "MiB", {{"memory", {{0, 0}, {1, 5}, {2, 10}}, Line::Area}}}; }

TEST(ChartTest, TextRisesWithTheData) {
  EXPECT_EQ(drawText(ramp(), 3, 4), "      MiB\n"
                                    "     10.0 ┤  █\n"
                                    "          │  █\n"
                                    "      5.0 ┤ ██\n"
                                    "          │ ██\n"
                                    "        0 └───\n"
                                    "           step\n");
}

TEST(ChartTest, TextShowsTheHighestOfEachColumn) {
  Chart chart = ramp();
  chart.lines[0].points = {{0, 1}, {1, 8}, {2, 2}, {3, 4}};
  std::string text = drawText(chart, 2, 8);
  EXPECT_NE(text.find("8.0 ┤█\n"), std::string::npos) << text;
  EXPECT_NE(text.find("4.0 ┤██\n"), std::string::npos) << text;
}

TEST(ChartTest, SvgPlacesTheEndsOfTheDataAtTheEndsOfTheAxes) {
  std::string svg = drawSvg(ramp());
  EXPECT_NE(svg.find("<polyline class=\"c0\" points=\"64.0,256.0 464.0,146.0 864.0,36.0 \""), std::string::npos) << svg;
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
}

TEST(ChartTest, SvgMarksPointsAndNamesSeveralLines) {
  Chart chart = ramp();
  chart.lines.push_back({"measured", {{1, 7}}, Line::Points});
  std::string svg = drawSvg(chart);
  EXPECT_NE(svg.find("<title>measured: 1, 7</title>"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">memory</text>"), std::string::npos);
}

TEST(ChartTest, ChartsWithoutDataAreDrawn) {
  EXPECT_EQ(drawText({}), "");
  EXPECT_EQ(drawSvg({}).find("nan"), std::string::npos);
  EXPECT_EQ(drawSvg({"one", "x", "y", {{"line", {{3, 3}}}}, false}).find("nan"), std::string::npos);
}

TEST(ChartTest, APageStandsAlone) {
  std::string html = page("t", drawSvg(ramp()));
  for (const char *word : {"<script", "http", "src=", "@import", "url("})
    EXPECT_EQ(html.find(word), std::string::npos) << word;
}

} // namespace
} // namespace oriel::tune
