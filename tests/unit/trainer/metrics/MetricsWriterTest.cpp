// metrics.jsonl: appended, cut back on resume, and readable after a crash.
#include "trainer/metrics/MetricsWriter.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>
#include <csignal>
#include <sys/resource.h>

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Pair;

TEST(MetricsWriter, AppendsAndReadsBack) {
  TemporaryFolder folder;
  {
    auto writer = MetricsWriter::open({folder / "m", true, true});
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->add(1, {{"train/loss", 5.5}, {"lr", 1e-3}}).ok());
    ASSERT_TRUE(writer->add(2, {{"train/loss", NAN}, {"validation/loss", 4.0}}).ok());
    ASSERT_TRUE(writer->add(3, {{"train/loss", 4.5}}).ok());
  }
  EXPECT_THAT(readText(folder / "m/metrics.jsonl"), HasSubstr("\"train/loss\":\"nan\""));
  auto train = readScalar(folder / "m", "train/loss"), validation = readScalar(folder / "m", "validation/loss");
  ASSERT_TRUE(train.ok() && validation.ok());
  EXPECT_THAT(*train, ElementsAre(Pair(1, 5.5), Pair(3, 4.5)));
  EXPECT_THAT(*validation, ElementsAre(Pair(2, 4.0)));
  EXPECT_EQ(readScalar(folder / "none", "x").status().code(), absl::StatusCode::kNotFound);
}

// A limit on the size of files stands for a full disk.
TEST(MetricsWriter, ARecordThatDoesNotFitLeavesNoPartOfIt) {
  TemporaryFolder folder;
  auto writer = MetricsWriter::open({folder / "m", true, false});
  ASSERT_TRUE(writer.ok()) << writer.status();
  rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  int64_t records = 0;
  absl::Status status;
  for (; status.ok() && records < 100; ++records)
    status = writer->add(records, {{"loss", 1.0 / static_cast<double>(records + 2)}});
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(std::string(status.message()), HasSubstr("metrics.jsonl: "));
  ASSERT_LT(records, 100);
  ASSERT_TRUE(writer->add(100, {{"loss", 7.0}}).ok());
  auto series = *readScalar(folder / "m", "loss");
  ASSERT_EQ(series.size(), static_cast<size_t>(records)) << readText(folder / "m/metrics.jsonl");
  EXPECT_THAT(series.back(), Pair(100, 7.0));
  EXPECT_THAT(readText(folder / "m/metrics.jsonl"), EndsWith("}\n"));
}

TEST(MetricsWriter, ResumeDropsWhatTheDeadRunWroteLater) {
  TemporaryFolder folder;
  {
    auto writer = MetricsWriter::open({folder / "m", true, false});
    for (int64_t step = 1; step <= 5; ++step)
      ASSERT_TRUE(writer->add(step, {{"loss", 10.0 - static_cast<double>(step)}}).ok());
  }
  std::string text = readText(folder / "m/metrics.jsonl");
  writeText(folder / "m/metrics.jsonl", text + "{\"step\": 6, \"lo"); // torn by a kill
  {
    auto writer = MetricsWriter::open({folder / "m", true, false}, 3);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->add(4, {{"loss", 60.0}}).ok());
  }
  EXPECT_THAT(*readScalar(folder / "m", "loss"), ElementsAre(Pair(1, 9.0), Pair(2, 8.0), Pair(3, 7.0), Pair(4, 60.0)));
}

TEST(MetricsWriter, WritesOnlyWhatIsAsked) {
  TemporaryFolder folder;
  {
    auto writer = MetricsWriter::open({folder / "m", false, false});
    ASSERT_TRUE(writer.ok() && writer->add(1, {{"x", 1.0}}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "m"));
}

} // namespace
} // namespace oriel::trainer
