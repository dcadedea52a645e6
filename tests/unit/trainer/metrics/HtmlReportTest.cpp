// The report: well-formed, escaped, and drawn from the numbers.
#include "trainer/metrics/HtmlReport.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

namespace oriel::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

RunReport makeReport(int points) {
  RunReport report;
  report.title = "ra-tiny <1>";
  for (int i = 0; i < points; ++i)
    report.trainLoss.emplace_back(i, 1.5 + 4 * std::exp(-i / 50.0));
  report.validationLoss = {{0, 5.5}, {points / 2, 2.0}, {points - 1, 1.6}};
  report.facts = {{"tokens/s", "11,400"}, {"path", "/a & b"}};
  report.samplePrompt = "ROMEO:";
  report.sample = "\nWhat <light>\x01 \xff\xe4\xb8";
  return report;
}

TEST(HtmlReport, ShowsEverythingEscaped) {
  std::string page = renderReport(makeReport(100));
  EXPECT_THAT(page, HasSubstr("<title>ra-tiny &lt;1&gt;</title>"));
  EXPECT_THAT(page, HasSubstr("<tr><th>path</th><td>/a &amp; b</td></tr>"));
  EXPECT_THAT(page, HasSubstr("ROMEO:\nWhat &lt;light&gt;\uFFFD \uFFFD\uFFFD\uFFFD"));
  EXPECT_THAT(page, HasSubstr("<polyline class=\"train\""));
  EXPECT_THAT(page, HasSubstr("<title>step 99: 1.6000</title>"));
  EXPECT_THAT(page, Not(HasSubstr("<light>")));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(HtmlReport, StaysSmallForLongRuns) { EXPECT_LT(renderReport(makeReport(200000)).size(), 60000u); }

TEST(HtmlReport, SurvivesOddNumbers) {
  RunReport report;
  EXPECT_THAT(renderReport(report), HasSubstr("No loss was recorded"));
  report.trainLoss = {{0, NAN}, {1, INFINITY}};
  EXPECT_THAT(renderReport(report), Not(HasSubstr("nan,")));
  report.trainLoss = {{0, 2.0}};
  EXPECT_THAT(renderReport(report), HasSubstr("<polyline"));
  report.trainLoss = {{0, 2.0}, {1, 2.0}, {2, NAN}, {3, 2.0}};
  EXPECT_THAT(renderReport(report), Not(HasSubstr("nan")));
}

TEST(HtmlReport, IsWrittenAtomically) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeReport(folder / "new/report.html", makeReport(10)).ok());
  EXPECT_THAT(readText(folder / "new/report.html"), testing::StartsWith("<!DOCTYPE html>"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "new"), {}), 1);
}

} // namespace
} // namespace oriel::trainer
