// Learning rates at the points where a schedule changes its shape.
#include "trainer/optimizer/Schedule.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

namespace oriel::trainer {
namespace {

Job makeJob(const std::string &kind, int64_t steps, int64_t warmup, int64_t decay = 0) {
  Job job;
  job.mutable_training()->set_steps(steps);
  job.mutable_optimizer()->set_lr(0.5);
  job.mutable_schedule()->set_kind(kind);
  job.mutable_schedule()->set_warmup_steps(warmup);
  job.mutable_schedule()->set_decay_steps(decay);
  job.mutable_schedule()->set_min_lr_ratio(0.2);
  return job;
}

TEST(Schedule, WarmsUpLinearlyToThePeak) {
  for (const char *kind : {"cosine", "wsd", "constant"}) {
    Job job = makeJob(kind, 100, 10);
    EXPECT_DOUBLE_EQ(learningRate(job, 0), 0.05) << "the first step already moves";
    EXPECT_DOUBLE_EQ(learningRate(job, 4), 0.25);
    EXPECT_DOUBLE_EQ(learningRate(job, 9), 0.5);
    EXPECT_DOUBLE_EQ(learningRate(job, 10), 0.5);
  }
}

TEST(Schedule, CosineEndsAtTheFloor) {
  Job job = makeJob("cosine", 111, 10);
  EXPECT_NEAR(learningRate(job, 60), 0.5 * 0.6, 1e-12) << "half way";
  EXPECT_NEAR(learningRate(job, 110), 0.1, 1e-12) << "the last step";
  EXPECT_NEAR(learningRate(job, 500), 0.1, 1e-12) << "and behind it";
  for (int64_t step = 10; step < 110; ++step)
    EXPECT_GE(learningRate(job, step), learningRate(job, step + 1));
}

TEST(Schedule, WsdHoldsThenFallsLinearly) {
  Job job = makeJob("wsd", 100, 10, 20);
  EXPECT_DOUBLE_EQ(learningRate(job, 79), 0.5);
  EXPECT_NEAR(learningRate(job, 80), 0.5 * (1 - 0.8 / 20), 1e-12);
  EXPECT_NEAR(learningRate(job, 99), 0.1, 1e-12);
  EXPECT_NEAR(learningRate(makeJob("wsd", 100, 0), 80), 0.5 * (1 - 0.8 / 20), 1e-12) << "the decay defaults to a fifth";
}

TEST(Schedule, SurvivesDegenerateLengths) {
  for (const char *kind : {"cosine", "wsd", "constant"})
    for (int64_t steps : {0, 1, 2, 5})
      for (int64_t warmup : {0, 1, 5, 100})
        for (int64_t step = 0; step < 6; ++step) {
          double rate = learningRate(makeJob(kind, steps, warmup, 50), step);
          EXPECT_TRUE(std::isfinite(rate) && rate >= 0 && rate <= 0.5) << kind << steps << warmup << step;
        }
}

TEST(Schedule, HyperVectorHoldsBiasCorrections) {
  Job job = makeJob("constant", 100, 0);
  std::array<float, 8> first = hyperVector(job, 0, 0), tenth = hyperVector(job, 9, 9);
  EXPECT_FLOAT_EQ(first[0], 0.5f);
  EXPECT_FLOAT_EQ(first[1], 0.9f);
  EXPECT_FLOAT_EQ(first[2], 0.95f);
  EXPECT_FLOAT_EQ(first[3], 1e-8f);
  EXPECT_FLOAT_EQ(first[4], 0.1f);
  EXPECT_FLOAT_EQ(first[5], 1.0f);
  EXPECT_FLOAT_EQ(first[6], 0.1f);
  EXPECT_FLOAT_EQ(first[7], 0.05f);
  EXPECT_FLOAT_EQ(tenth[6], 1 - std::pow(0.9, 10));
  EXPECT_FLOAT_EQ(tenth[7], 1 - std::pow(0.95, 10));
  EXPECT_EQ(hyperVector(job, 12, 9), tenth) << "three steps were skipped: they changed no moment";
}

TEST(Schedule, WarnsOfWhatIsHardlyMeant) {
  EXPECT_THAT(scheduleWarnings(makeJob("cosine", 100, 99)), testing::IsEmpty());
  EXPECT_THAT(scheduleWarnings(makeJob("cosine", 0, 10)), testing::IsEmpty());
  EXPECT_THAT(scheduleWarnings(makeJob("constant", 100, 400)),
              testing::ElementsAre("schedule.warmup_steps = 400 and training.steps = 100: the learning rate rises to the end, "
                                   "to 0.125 of optimizer.lr = 0.5"));
  EXPECT_THAT(scheduleWarnings(makeJob("wsd", 100, 10, 90)), testing::IsEmpty());
  EXPECT_THAT(scheduleWarnings(makeJob("wsd", 100, 10, 91)),
              testing::ElementsAre(testing::HasSubstr("the decay starts after the warm-up and takes 90 steps")));
}

} // namespace
} // namespace oriel::trainer
