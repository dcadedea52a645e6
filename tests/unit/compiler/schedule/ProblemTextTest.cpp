// schedule.problem: what is written reads back, and what cannot be read says where.
#include "compiler/schedule/ProblemText.h"
#include "tests/unit/compiler/schedule/RandomProblem.h"

#include "gtest/gtest.h"

namespace oriel::schedule {
namespace {

TEST(ProblemText, RoundTrips) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    Problem problem = randomProblem(seed, 7, seed % 3);
    problem.budgetBytes = seed % 2 ? 1234 : 0;
    problem.ops[0].recomputeSeconds = 1.0 / 3;
    std::string text = printProblem(problem), error;
    auto read = parseProblem(text, "test", error);
    ASSERT_TRUE(read) << error << "\n" << text;
    EXPECT_EQ(printProblem(*read), text);
    EXPECT_EQ(timeline(*read, fastestSchedule(*read)), timeline(problem, fastestSchedule(problem)));
    EXPECT_EQ(predict(*read, fastestSchedule(*read)).seconds, predict(problem, fastestSchedule(problem)).seconds);
    EXPECT_EQ(read->budgetBytes, problem.budgetBytes);
  }
}

const char small[] = R"(# two ops, one of them a mixer's
problem small
device paper
assembler ptxas-13.0
steps 8
budget 2048
fixed bytes 64 seconds 0.5
op in seconds 0.25 scratch 0 made 0
  result bytes 16 used 1 backward none
  result bytes 8 used 0 backward 7 7
op rla seconds 1 scratch 4 made 1 given save reads in in:1
  result bytes 32 used 2 backward 5 6
mixer rla gradient 6
  candidate chunk 64 save_every 4 sequential separate tile 0 forward 0.25 backward 0.5 saved 128 scratch 256
  candidate chunk 32 save_every 1 two_pass fused tile 16 forward 0.125 backward 0.5 saved 512 scratch 0
  refused chunk 128 save_every 1 sequential separate tile 0 why rla_bwd spills 48 bytes
block dx bytes 8 from 4 to 7
kernel rla_fwd_c64 by chunk 64 of rla
  tiling rows 0 columns 32 warps 8 stages 3 assembled registers 168 shared 51200 seconds 0.25 arithmetic 0.125 memory 0.0625 l2 0.25 latency 0 bound L2
  tiling rows 0 columns 16 warps 4 stages 1 planned registers 64 shared 25600 seconds 0.5 arithmetic 0.125 memory 0.0625 l2 0.25 latency 0.5 bound latency
  refused_tiling rows 0 columns 64 warps 8 stages 3 why spills 48 bytes
kernel attn_fwd given of in
)";

TEST(ProblemText, ReadsWhatAPersonWrites) {
  std::string error;
  auto problem = parseProblem(small, "small", error);
  ASSERT_TRUE(problem) << error;
  EXPECT_EQ(problem->name, "small");
  EXPECT_EQ(problem->ops[1].inputs, (std::vector<Input>{{0, 0}, {0, 1}}));
  EXPECT_EQ(problem->ops[1].given, Given::Save);
  EXPECT_TRUE(problem->ops[0].results[0].backward.empty());
  ASSERT_EQ(problem->mixers[0].candidates.size(), 2u);
  EXPECT_TRUE(problem->mixers[0].candidates[1].twoPass && problem->mixers[0].candidates[1].fused);
  EXPECT_EQ(problem->assembler, "ptxas-13.0");
  EXPECT_EQ(problem->mixers[0].refused,
            (std::vector<RefusedWay>{{{.chunk = 128, .saveEvery = 1}, "rla_bwd spills 48 bytes"}}));
  ASSERT_EQ(problem->tilings.size(), 2u);
  const TilingQuestion &tiles = problem->tilings[0];
  EXPECT_EQ(tiles.way, "chunk 64");
  EXPECT_TRUE(!tiles.isGiven && problem->tilings[1].isGiven);
  EXPECT_EQ(tiles.ops, std::vector<std::string>{"rla"});
  ASSERT_EQ(tiles.candidates.size(), 2u);
  EXPECT_EQ(wordsOf(tiles.candidates[0]), "rows 0 columns 32 warps 8 stages 3");
  EXPECT_TRUE(tiles.candidates[0].assembled && !tiles.candidates[1].assembled);
  EXPECT_EQ(tiles.candidates[1].time.bound, Bound::Latency);
  EXPECT_EQ(tiles.refused, (std::vector<RefusedTiling>{{{0, 64, 8, 3}, "spills 48 bytes"}}));
  EXPECT_EQ(parseProblem(printProblem(*problem), "again", error)->tilings, problem->tilings);
  EXPECT_DOUBLE_EQ(predict(*problem, fastestSchedule(*problem)).seconds, 0.5 + 0.625);
  EXPECT_EQ(printProblem(*parseProblem(printProblem(*problem), "again", error)), printProblem(*problem));
}

struct Mistake {
  const char *from, *to, *error;
};

TEST(ProblemText, ErrorsSayWhere) {
  for (const Mistake &mistake : {
           Mistake{"budget 2048", "budget lots", "small:6:8: expected bytes or 'none' (a whole number), found 'lots'"},
           {"steps 8", "stepz 8", "small:5:1: expected 'problem' or 'device' or 'assembler' or 'steps'"},
           {"steps 8", "steps", "small:5:6: expected the number of steps before the end of the line"},
           {"steps 8", "steps 8 9", "small:5:9: unexpected '9' at the end of the line"},
           {"reads in ", "reads on ", "small:11:52: there is no result 'on' above this line"},
           {"reads in ", "reads rla ", "small:11:52: there is no result 'rla' above this line"},
           {"in:1", "in:2", "small:11:55: there is no result 'in:2' above this line"},
           {"in:1", "in:x", "small:11:55: there is no result 'in:x' above this line"},
           {"op rla", "op in", "small:11:4: there is an op 'in' already"},
           {"given save", "given keep", "small:11:41: expected 'save' or 'recompute', found 'keep'"},
           {"two_pass", "twice", "small:15:35: expected 'sequential' or 'two_pass', found 'twice'"},
           {"mixer rla gradient 6\n", "", "small:13:3: a candidate stands below the line of its mixer"},
           {"mixer rla", "mixer ral", "small:13:7: there is no op 'ral' above this line"},
           {"bytes 64 seconds 0.5", "bytes 64 seconds nan", "small:7:24: expected seconds (a number), found 'nan'"},
           {"from 4 to 7", "from 4 to 9", "block dx has a negative size or lives outside the steps"},
       }) {
    std::string text = small, error;
    size_t at = text.find(mistake.from);
    ASSERT_NE(at, std::string::npos) << mistake.from;
    text.replace(at, std::string(mistake.from).size(), mistake.to);
    EXPECT_FALSE(parseProblem(text, "small", error)) << mistake.to;
    EXPECT_EQ(error.substr(0, std::string(mistake.error).size()), mistake.error);
  }
}

} // namespace
} // namespace oriel::schedule
