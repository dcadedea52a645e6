// The pool runs every item once, on as many threads as it says, job after job.
#include "runtime/device/cpu/WorkerPool.h"

#include "gtest/gtest.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

namespace oriel::runtime {
namespace {

TEST(WorkerPool, RunsEveryItemOnceForAnySizes) {
  for (int threads : {1, 2, 3, 8}) {
    WorkerPool pool(threads, -1);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t items : {0, 1, 2, 7, 1000})
      for (int64_t run : {1, 3, 64}) {
        std::vector<std::atomic<int>> counts(static_cast<size_t>(items));
        pool.forEach(items, run, [&](int64_t item, int thread) {
          EXPECT_TRUE(thread >= 0 && thread < threads);
          ++counts[static_cast<size_t>(item)];
        });
        for (const auto &count : counts)
          ASSERT_EQ(count, 1) << threads << " threads, " << items << " items, runs of " << run;
      }
  }
}

TEST(WorkerPool, ManyShortJobsInARowSeeEachOthersWrites) {
  WorkerPool pool(4, -1);
  std::vector<int64_t> values(64, 0); // plain memory: the pool itself must order jobs
  for (int job = 0; job < 20000; ++job)
    pool.forEach(64, 1, [&](int64_t item, int) { values[static_cast<size_t>(63 - item)] += job; });
  for (int64_t value : values)
    EXPECT_EQ(value, int64_t(20000) * 19999 / 2);
}

TEST(WorkerPool, NumbersOfThreadsAtWorkAreUnique) {
  WorkerPool pool(4, -1);
  std::vector<std::atomic<int>> inside(4);
  pool.forEach(2000, 1, [&](int64_t, int thread) {
    EXPECT_EQ(inside[static_cast<size_t>(thread)]++, 0);
    --inside[static_cast<size_t>(thread)];
  });
}

TEST(WorkerPool, WorkersHelpAfterASleep) {
  WorkerPool pool(2, -1);
  std::atomic<int> helped = 0;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // workers are asleep by now
    pool.forEach(2, 1, [&](int64_t, int thread) {
      helped += thread;
      // Long enough for the other thread to wake up and take the second item.
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
  }
  EXPECT_GT(helped, 0);
}

TEST(WorkerPool, StartsAndStopsIdle) {
  for (int i = 0; i < 50; ++i)
    WorkerPool pool(3, 0);
}

} // namespace
} // namespace oriel::runtime
