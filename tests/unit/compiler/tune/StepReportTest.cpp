// Tests what is told of a package: kernels are summed, times come from the cost model, memory from the plan.
#include "compiler/tune/StepReport.h"
#include "runtime/base/Files.h"
#include "runtime/base/TemporaryFolder.h"
#include "runtime/plan/PlanFile.h"

#include <gtest/gtest.h>

namespace oriel::tune {
namespace {

plan::Step gemm(const std::string &layer, uint64_t alive, uint64_t saved) {
  plan::Step step;
  step.set_layer(layer);
  plan::Gemm *gemm = step.mutable_gemm();
  for (plan::Ref *ref : {gemm->mutable_a(), gemm->mutable_b(), gemm->mutable_c()})
    ref->set_buffer(0);
  gemm->mutable_b()->set_byte_offset(1024);
  gemm->mutable_c()->set_byte_offset(2048);
  for (auto set : {&plan::Gemm::set_m, &plan::Gemm::set_n, &plan::Gemm::set_k, &plan::Gemm::set_lda,
                   &plan::Gemm::set_ldb, &plan::Gemm::set_ldc})
    (gemm->*set)(16);
  gemm->set_dtype(plan::F32);
  gemm->set_c_dtype(plan::F32);
  step.set_flops(2 * 16 * 16 * 16);
  step.set_bytes_moved(3 * 1024);
  step.set_alive_bytes(alive);
  step.set_saved_bytes(saved);
  return step;
}

/// Two products of one size in two layers, then a fill.
plan::Plan samplePlan() {
  plan::Plan plan;
  plan.set_format_version(1);
  plan.mutable_target()->set_kind("cpu");
  plan.set_model("sample");
  plan.set_batch(2);
  plan.set_tokens(8);
  plan.set_arena_bytes(4096);
  plan::Buffer *arena = plan.add_buffers();
  arena->set_name("arena.micro");
  arena->set_dtype(plan::F32);
  arena->add_shape(1024);
  arena->set_bytes(4096);
  arena->set_placement(plan::ARENA);
  plan::EntryPoint *entry = plan.add_entry_points();
  entry->set_name("micro");
  entry->set_arena_bytes(4096);
  *entry->add_steps() = gemm("layers.0.mlp", 2048, 1024);
  *entry->add_steps() = gemm("layers.1.mlp", 3072, 512);
  plan::Step *fill = entry->add_steps();
  fill->mutable_fill()->mutable_target()->set_buffer(0);
  fill->mutable_fill()->set_bytes(64);
  fill->set_bytes_moved(64);
  fill->set_alive_bytes(1024);
  for (const char *path : {"layers.0.mixer.rla", "layers.2.mixer.rla", "layers.3.mixer.rla"}) {
    plan::Decision *decision = entry->add_schedule();
    decision->set_path(path);
    decision->set_chunk(path[7] == '3' ? 64 : 32);
    decision->set_save_every(2);
  }
  plan::Decision *kept = entry->add_schedule();
  kept->set_path("embed.embed");
  plan::Decision *again = entry->add_schedule();
  again->set_path("norm.rms_norm");
  again->set_recompute(true);
  return plan;
}

struct StepReportTest : testing::Test {
  runtime::TemporaryFolder temporary = *runtime::TemporaryFolder::create("oriel-tune-test");
  std::string folder = temporary.path();
  std::shared_ptr<const runtime::Package> package;

  void SetUp() override {
    ASSERT_TRUE(runtime::writeFileAtomically(folder + "/plan.pb", runtime::encodePlan(samplePlan())).ok());
    absl::StatusOr<std::shared_ptr<const runtime::Package>> loaded = runtime::Package::load(folder);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    package = *loaded;
  }
};

TEST_F(StepReportTest, SumsTheCallsOfAKernel) {
  schedule::CostModel costs;
  StepReport report = makeReport(*package, costs, nullptr);
  ASSERT_EQ(report.kernels.size(), 2u);
  const KernelRow &row = report.kernels[0].calls == 2 ? report.kernels[0] : report.kernels[1];
  EXPECT_EQ(row.action, "gemm 16x16x16 NN");
  EXPECT_EQ(row.layers, (std::set<std::string>{"layers.0.mlp", "layers.1.mlp"}));
  EXPECT_EQ(row.savedBytes, 1536);
  EXPECT_DOUBLE_EQ(row.predicted, 2 * costs.estimate(workOf(package->plan().entry_points(0).steps(0))).seconds);
  EXPECT_DOUBLE_EQ(report.predicted, predictedSeconds(package->plan(), costs));
  EXPECT_FALSE(report.wasMeasured);
}

TEST_F(StepReportTest, TheRecordIsWhatIsPredicted) {
  schedule::CostModel costs;
  costs.record.seconds["gemm 16x16x16 NN"] = 0.25;
  StepReport report = makeReport(*package, costs, nullptr);
  EXPECT_EQ(report.kernels[0].action, "gemm 16x16x16 NN");
  EXPECT_DOUBLE_EQ(report.kernels[0].predicted, 0.5);
  EXPECT_EQ(report.kernels[0].bound, schedule::Bound::Measured);
}

TEST_F(StepReportTest, TellsMemoryAndWhereTheForwardEnds) {
  StepReport report = makeReport(*package, {}, nullptr);
  EXPECT_EQ(report.timeline, (std::vector<int64_t>{2048, 3072, 1024}));
  EXPECT_EQ(report.forwardSteps, 2);
  EXPECT_EQ(report.memoryBytes(), 4096);
}

TEST_F(StepReportTest, MixersWithOneDecisionAreOneRow) {
  StepReport report = makeReport(*package, {}, nullptr);
  ASSERT_EQ(report.mixers.size(), 2u);
  EXPECT_EQ(report.mixers[0].layers, (std::set<std::string>{"layers.0.mixer", "layers.2.mixer"}));
  EXPECT_EQ(report.mixers[1].way.chunk, 64);
  EXPECT_EQ(report.kept, 1);
  EXPECT_EQ(report.madeAgain, 1);
}

TEST_F(StepReportTest, MeasuredTimesDecideTheOrder) {
  Measured measured;
  measured.entrySeconds["micro"] = 9;
  measured.steps["micro"] = {{{}, 1}, {{}, 2}, {{}, 5}};
  StepReport report = makeReport(*package, {}, &measured);
  EXPECT_EQ(report.kernels[0].action, "fill");
  EXPECT_DOUBLE_EQ(report.kernels[1].measured, 3);
  EXPECT_DOUBLE_EQ(report.measured, 9) << "the whole entry, without watching its steps";
}

TEST(ShortNameTest, LeavesOutBitPatternsAndRepetitions) {
  EXPECT_EQ(shortName("gemm 8x16x32 NT"), "gemm 8x16x32 NT");
  EXPECT_EQ(shortName("rms_norm_fwd_r8_d16_eps3eb0c6f7a0b5ed8d_residual"), "rms_norm_fwd r8 d16 residual");
  EXPECT_EQ(shortName("rla_fwd_b8_c32_m1_attn_fused_b8_q32_s3fc0000000000000"), "rla_fwd b8 c32 m1 attn fused q32");
  EXPECT_EQ(shortName("fill"), "fill");
}

} // namespace
} // namespace oriel::tune
