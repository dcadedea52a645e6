// Buckets of gradients in the plan of a whole model: each is summed over ranks once, behind every step that touches it, and
// most of them while the backward still has steps to run.
#include "runtime/base/Files.h"
#include "runtime/base/Subprocess.h"
#include "runtime/base/TemporaryFolder.h"
#include "runtime/plan/Package.h"
#include "runtime/plan/PlanCheck.h"

#include "gtest/gtest.h"

#include <algorithm>

namespace oriel::runtime {
namespace {

const char modelText[] = R"(
model tiny {
  d = 64   heads = 4   kv_heads = 2   head_dim = 16
  block layer(mixer) {
    residual { rms_norm | mixer }
    residual { rms_norm | gated_mlp(hidden = 192, activation = silu) }
  }
  embed(vocab = 64, dim = d)
  | repeat 3 { layer(rattention(heads, kv_heads, head_dim, window = 7, rope = 1e4)) }
  | layer(attention(heads, kv_heads, head_dim, rope = 1e4))
  | rms_norm | unembed(tied) | cross_entropy
}
)";

/// Bytes of the gradients, over all slots.
struct Range {
  uint64_t begin = 0, end = 0;
  bool overlaps(const Range &other) const { return begin < other.end && other.begin < end; }
};

class BucketsTest : public ::testing::TestWithParam<std::vector<std::string>> {
protected:
  void SetUp() override {
    ASSERT_TRUE(writeFileAtomically(folder_ + "/tiny.oriel", modelText).ok());
  }

  std::shared_ptr<const Package> compile(std::vector<std::string> options) {
    std::vector<std::string> command = {TEST_ORIELC, folder_ + "/tiny.oriel", "--tokens", "64", "-o", folder_ + "/package"};
    command.insert(command.end(), options.begin(), options.end());
    absl::StatusOr<ProcessResult> result = runProcess(command, Deadline::after(120));
    EXPECT_TRUE(result.ok() && result->exitStatus == 0) << result->standardError;
    return *Package::load(folder_ + "/package");
  }

  /// What a step may touch of the gradients, on rank 0.
  static std::vector<Range> gradientsOf(const plan::Plan &plan, const plan::Step &step) {
    std::vector<Range> ranges;
    std::vector<RefUse> uses = *refsOf(step, worldOf(plan));
    for (const RefUse &use : uses)
      if (plan.buffers(static_cast<int>(use.ref->buffer())).name() == "grads")
        ranges.push_back({use.ref->byte_offset(), use.ref->byte_offset() + use.bytes});
    return ranges;
  }

  TemporaryFolder temporary_ = *TemporaryFolder::create("oriel-buckets");
  std::string folder_ = temporary_.path();
};

TEST_P(BucketsTest, AreSummedOnceBehindEveryStepThatTouchesThem) {
  std::shared_ptr<const Package> package = compile(GetParam());
  const plan::Plan &plan = package->plan();
  const plan::EntryPoint *entry = package->findEntry("last_micro");
  ASSERT_TRUE(entry);
  EXPECT_GE(plan.bucket_starts_size(), 4);
  std::vector<Range> summed;
  int beforeTheEnd = 0;
  for (int i = 0; i < entry->steps_size(); ++i) {
    std::vector<Range> touched = gradientsOf(plan, entry->steps(i));
    for (const Range &range : touched)
      for (const Range &bucket : summed)
        EXPECT_FALSE(range.overlaps(bucket)) << describeStep(*entry, i) << " comes too late";
    if (!entry->steps(i).has_collective())
      continue;
    summed.push_back(touched.at(0));
    beforeTheEnd += std::any_of(entry->steps().begin() + i, entry->steps().end(),
                                [](const plan::Step &step) { return step.has_gemm(); });
  }
  std::sort(summed.begin(), summed.end(), [](const Range &a, const Range &b) { return a.begin < b.begin; });
  uint64_t end = 0; // the first slot, without a gap
  for (const Range &bucket : summed) {
    EXPECT_EQ(bucket.begin, end);
    end = bucket.end;
  }
  EXPECT_EQ(end, plan.parameter_elements() * sizeof(float));
  EXPECT_EQ(summed.size(), static_cast<size_t>(plan.bucket_starts_size()));
  EXPECT_GE(2 * beforeTheEnd, plan.bucket_starts_size()) << "of that many buckets";
}

INSTANTIATE_TEST_SUITE_P(Plans, BucketsTest,
                         ::testing::Values(std::vector<std::string>{"--world", "2"},
                                           std::vector<std::string>{"--world", "4", "--grad-slots", "3"},
                                           std::vector<std::string>{"--world", "2", "--bucket", "64KiB"},
                                           std::vector<std::string>{"--world", "2", "--grad-slots", "2", "--dtype", "bf16",
                                                                    "--memory-budget", "least"}));

TEST_F(BucketsTest, AllInOneComesAfterTheBackward) {
  std::shared_ptr<const Package> package = compile({"--world", "2", "--bucket", "0"});
  EXPECT_EQ(package->plan().bucket_starts_size(), 0);
  const plan::EntryPoint *entry = package->findEntry("last_micro");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->steps(entry->steps_size() - 1).has_collective());
}

TEST_F(BucketsTest, OneRankHasNone) {
  std::shared_ptr<const Package> package = compile({});
  EXPECT_EQ(package->plan().bucket_starts_size(), 0);
  EXPECT_EQ(package->findEntry("last_micro"), nullptr);
}

} // namespace
} // namespace oriel::runtime
