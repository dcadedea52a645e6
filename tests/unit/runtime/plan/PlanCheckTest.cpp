// Every law of a plan, broken one at a time; and random damage, which must never get a bad reference past the check.
#include "runtime/plan/PlanCheck.h"

#include "tests/unit/runtime/plan/SamplePlan.h"

#include "runtime/memory/MemoryLayout.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <functional>
#include <random>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;
constexpr uint64_t constantsBytes = 64;

TEST(PlanCheck, PassesTheSample) {
  ASSERT_EQ(samplePlan().format_version(), 1u);
  EXPECT_EQ(checkPlan(samplePlan(), constantsBytes), absl::OkStatus());
}

struct BrokenLaw {
  const char *name;
  std::function<void(plan::Plan &)> spoil;
  const char *message;
};

plan::Step *step(plan::Plan &plan, int index) { return plan.mutable_entry_points(0)->mutable_steps(index); }

/// A view of the first launch's first argument.
plan::TensorMap *mapOf(plan::Plan &plan) {
  plan::Launch *launch = step(plan, 0)->mutable_launch();
  launch->mutable_args(0)->set_bytes(64);
  plan::TensorMap *map = launch->add_tensor_maps();
  map->set_dtype(plan::F32);
  map->add_sizes(16);
  map->add_box(8);
  return map;
}

const BrokenLaw brokenLaws[] = {
    {"version", [](auto &p) { p.set_format_version(2); }, "format version 2"},
    {"meshSize", [](auto &p) { p.mutable_mesh(0)->set_size(0); }, "mesh axis 'fsdp' has size 0"},
    {"meshHuge", [](auto &p) { p.mutable_mesh(0)->set_size(INT64_MAX); }, "mesh axis"},
    {"bufferTwice", [](auto &p) { p.mutable_buffers(1)->set_name("x"); }, "used twice"},
    {"bufferDtype", [](auto &p) { p.mutable_buffers(0)->clear_dtype(); }, "unknown dtype"},
    {"bufferSmall", [](auto &p) { p.mutable_buffers(0)->set_bytes(60); }, "has 60 bytes; its shape needs 64"},
    {"shapeNegative", [](auto &p) { p.mutable_buffers(0)->set_shape(0, -1); }, "negative size"},
    {"shapeOverflow",
     [](auto &p) {
       p.mutable_buffers(0)->set_shape(0, int64_t(1) << 62);
       p.mutable_buffers(0)->set_shape(1, 4);
     },
     "too large"},
    {"placement", [](auto &p) { p.mutable_buffers(0)->clear_placement(); }, "unknown placement"},
    {"arenaOutside", [](auto &p) { p.mutable_buffers(1)->set_offset(3136); }, "lie outside the arena of 4096"},
    {"arenaWraps", [](auto &p) { p.mutable_buffers(1)->set_offset(uint64_t(0) - 64); }, "lie outside the arena"},
    {"arenaOffset", [](auto &p) { p.mutable_buffers(1)->set_offset(8); }, "not a multiple of 64"},
    {"constantOutside", [](auto &p) { p.mutable_buffers(4)->set_offset(64); }, "lie outside the constants"},
    {"slots", [](auto &p) { p.mutable_buffers(3)->set_slot_bytes(192); }, "slot_bytes 192"},
    {"parameterOutside", [](auto &p) { p.mutable_parameters(0)->set_offset(32); }, "leaves the 32 parameter elements"},
    {"parameterOffset", [](auto &p) { p.mutable_parameters(0)->set_offset(8); }, "not a multiple of 16"},
    {"parameterInit", [](auto &p) { p.mutable_parameters(0)->set_init("x"); }, "unknown init 'x'"},
    {"bucketFirst", [](auto &p) { p.add_bucket_starts(16); }, "bucket 0 [16, 32)"},
    {"bucketOrder",
     [](auto &p) {
       for (uint64_t start : {0, 64})
         p.add_bucket_starts(start);
     },
     "bucket 1 [64, 32)"},
    {"parameterBlock", [](auto &p) { p.clear_parameter_block(); }, "parameter_block is 0"},
    {"entryTwice", [](auto &p) { *p.add_entry_points() = p.entry_points(0); }, "used twice"},
    {"entryInput", [](auto &p) { p.mutable_entry_points(0)->set_inputs(0, "params"); }, "'params' is not an IO buffer"},
    {"entryArena", [](auto &p) { p.mutable_entry_points(0)->set_arena_bytes(8192); }, "arena_bytes is above"},
    {"noAction", [](auto &p) { step(p, 0)->clear_action(); }, "no action"},
    {"launchSymbol", [](auto &p) { step(p, 0)->mutable_launch()->clear_symbol(); }, "no symbol"},
    {"launchGrid", [](auto &p) { step(p, 0)->mutable_launch()->add_grid(1); }, "grid has 4 sizes"},
    {"launchGridZero", [](auto &p) { step(p, 0)->mutable_launch()->set_grid(0, 0); }, "at least 1"},
    {"launchGridHuge",
     [](auto &p) {
       for (int i = 0; i < 3; ++i)
         step(p, 0)->mutable_launch()->set_grid(i, INT64_MAX);
     },
     "too large"},
    {"launchThreads", [](auto &p) { step(p, 0)->mutable_launch()->set_threads(1025); }, "at most 1024"},
    {"launchShared", [](auto &p) { step(p, 0)->mutable_launch()->set_shared_bytes(1 << 20); }, "shared_bytes 1048576"},
    {"mapArgument", [](auto &p) { mapOf(p)->set_argument(9); }, "a tensor map of argument 9"},
    {"mapDims", [](auto &p) { mapOf(p)->add_strides(16); }, "1 sizes, 1 strides and a box of 1"},
    {"mapBox", [](auto &p) { mapOf(p)->set_box(0, 257); }, "box 257"},
    {"mapStride",
     [](auto &p) {
       plan::TensorMap *map = mapOf(p);
       map->add_sizes(2);
       map->add_strides(8);
       map->add_box(1);
     },
     "dimension 1 of a tensor map: size 2, box 1, stride 8"},
    {"mapReach", [](auto &p) { mapOf(p)->set_sizes(0, 17); }, "shows 68 of its 64 bytes"},
    {"mapHuge", [](auto &p) { mapOf(p)->set_sizes(0, UINT64_MAX); }, "reaches too far"},
    {"launchOnGpu",
     [](auto &p) {
       p.mutable_target()->set_kind("nvidia");
       p.mutable_target()->set_chip("sm_80");
     },
     "a launch on a GPU without threads"},
    {"launchBuffer", [](auto &p) { step(p, 0)->mutable_launch()->mutable_args(0)->set_buffer(5); },
     "buffer index 5 of 5"},
    {"launchOffset", [](auto &p) { step(p, 0)->mutable_launch()->mutable_args(0)->set_byte_offset(64); },
     "leave buffer 'x'"},
    {"launchBytes", [](auto &p) { step(p, 0)->mutable_launch()->mutable_args(0)->set_bytes(65); },
     "args: bytes [0, 0 + 65) leave"},
    {"rankStride", [](auto &p) { step(p, 0)->mutable_launch()->mutable_args(1)->set_rank_stride(192); },
     "leave buffer 'grads'"},
    {"gemmSize", [](auto &p) { step(p, 1)->mutable_gemm()->set_k(0); }, "must be at least 1"},
    {"gemmLeading", [](auto &p) { step(p, 1)->mutable_gemm()->set_lda(7); }, "leading dimension 7 of a is below"},
    {"gemmA", [](auto &p) { step(p, 1)->mutable_gemm()->set_lda(9); }, "leave buffer 'x'"},
    {"gemmB", [](auto &p) { step(p, 1)->mutable_gemm()->set_ldb(5); }, "leave buffer 'params'"},
    {"gemmTranspose", [](auto &p) { step(p, 1)->mutable_gemm()->set_transpose_b(true); },
     "leading dimension 4 of b is below its row of 8"},
    {"gemmHuge",
     [](auto &p) {
       step(p, 1)->mutable_gemm()->set_ldc(INT64_MAX);
       step(p, 1)->mutable_gemm()->set_m(INT64_MAX);
     },
     "too large"},
    {"gemmBeta", [](auto &p) { step(p, 1)->mutable_gemm()->set_beta(0.5f); }, "beta is 0.5"},
    {"gemmDtype", [](auto &p) { step(p, 1)->mutable_gemm()->set_dtype(plan::I32); }, "product of i32"},
    {"gemmAligned", [](auto &p) { step(p, 1)->mutable_gemm()->mutable_c()->set_byte_offset(2); }, "not aligned"},
    {"gemmConstant", [](auto &p) { step(p, 1)->mutable_gemm()->mutable_c()->set_buffer(4); },
     "writes the constant 'table'"},
    {"collectiveAxis", [](auto &p) { step(p, 2)->mutable_collective()->set_axis("dp"); }, "axis 'dp'"},
    {"collectiveKind", [](auto &p) { step(p, 2)->mutable_collective()->clear_kind(); }, "unknown collective"},
    {"collectiveCount", [](auto &p) { step(p, 3)->mutable_collective()->set_count(17); }, "leave buffer 'params'"},
    {"collectiveHuge", [](auto &p) { step(p, 3)->mutable_collective()->set_count(INT64_MAX); }, "too large"},
    {"fill", [](auto &p) { step(p, 4)->mutable_fill()->set_bytes(1025); }, "leave buffer 'work'"},
    {"copySource", [](auto &p) { step(p, 5)->mutable_copy()->set_bytes(65); }, "leave buffer 'params'"},
};

class PlanCheckTest : public ::testing::TestWithParam<BrokenLaw> {};

TEST_P(PlanCheckTest, NamesTheBrokenLaw) {
  plan::Plan plan = samplePlan();
  GetParam().spoil(plan);
  absl::Status status = checkPlan(plan, constantsBytes);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Laws, PlanCheckTest, ::testing::ValuesIn(brokenLaws),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(PlanCheck, ErrorsNameEntryStepAndLayer) {
  plan::Plan plan = samplePlan();
  step(plan, 1)->mutable_gemm()->set_k(0);
  EXPECT_THAT(std::string(checkPlan(plan, constantsBytes).message()), HasSubstr("entry 'micro', step 1 (b, gemm "));
}

/// Whether every byte the plan can tell of lies in its buffer and every buffer in the block, computed in wide integers
/// and apart from the check.
bool staysInside(const plan::Plan &plan) {
  MemoryLayout layout = MemoryLayout::of(plan);
  for (int i = 0; i < plan.buffers_size(); ++i)
    if (static_cast<unsigned __int128>(layout.offsets[i]) + plan.buffers(i).bytes() > layout.totalBytes)
      return false;
  int64_t world = worldOf(plan);
  for (const auto &entry : plan.entry_points())
    for (const auto &step : entry.steps()) {
      std::vector<RefUse> uses = refsOf(step, world).value();
      for (const RefUse &use : uses) {
        unsigned __int128 end = use.ref->byte_offset();
        end += static_cast<unsigned __int128>(use.ref->rank_stride()) * static_cast<uint64_t>(world - 1) + use.bytes;
        if (end > plan.buffers(static_cast<int>(use.ref->buffer())).bytes())
          return false;
      }
    }
  return true;
}

TEST(PlanCheck, NoDamagedPlanThatPassesLeavesItsBuffers) {
  std::string good = samplePlan().SerializeAsString();
  std::mt19937 random(7);
  int passed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    plan::Plan plan;
    if (!plan.ParseFromString(bytes) || !checkPlan(plan, constantsBytes).ok())
      continue;
    ++passed;
    EXPECT_TRUE(staysInside(plan)) << plan.DebugString();
  }
  EXPECT_GT(passed, 100); // names and such may change without harm
}

} // namespace
} // namespace oriel::runtime
