// Job files: what they say is what comes out, and everything else is one clear error at its line.
#include "trainer/config/JobConfig.h"

#include "google/protobuf/util/message_differencer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using testing::HasSubstr;

constexpr const char *minimal = "model = 'm.oriel'\n[data]\ntrain = 'tokens/train'\n";

std::string errorOf(const std::string &toml, std::vector<std::string> overrides = {}) {
  absl::StatusOr<Job> job = parseJob(toml, "/jobs/job.toml", overrides);
  if (job.ok())
    return "(no error)";
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(job.status().message());
}

TEST(JobConfig, FillsInDefaultsAndMakesPathsAbsolute) {
  absl::StatusOr<Job> job = parseJob(minimal, "/jobs/a/job.toml");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->model(), "/jobs/a/m.oriel");
  EXPECT_THAT(job->data().train(), testing::ElementsAre("/jobs/a/tokens/train"));
  EXPECT_EQ(job->data().tokenizer(), "byte");
  EXPECT_EQ(job->run_dir(), "/jobs/a/run");
  EXPECT_EQ(job->training().steps(), 1000);
  EXPECT_DOUBLE_EQ(job->optimizer().beta2(), 0.95);
  EXPECT_TRUE(job->has_sample());
  EXPECT_EQ(checkpointDir(*job), "/jobs/a/run/checkpoints");
}

TEST(JobConfig, MemoryBudgetsAreSizesOrEnds) {
  absl::StatusOr<Job> job = parseJob(std::string(minimal) + "[memory]\nbudget = '6GiB'\n", "job.toml");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->memory().budget(), "6GiB");
  EXPECT_EQ(parseJob(minimal, "job.toml")->memory().budget(), "auto");
  EXPECT_THAT(errorOf(std::string(minimal) + "[memory]\nbudget = 'lots'\n"), HasSubstr("memory.budget: 'lots'"));
}

TEST(JobConfig, ReadsEveryType) {
  absl::StatusOr<Job> job = parseJob(std::string("name = 'x'\n") + minimal +
                                         "[training]\nsteps = 7\nseed = 9\nresume = false\n[optimizer]\nlr = 1\n"
                                         "no_decay = ['a.*', 'b']\n[schedule]\nkind = 'wsd'\n",
                                     "job.toml");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->training().steps(), 7);
  EXPECT_EQ(job->training().seed(), 9u);
  EXPECT_FALSE(job->training().resume());
  EXPECT_DOUBLE_EQ(job->optimizer().lr(), 1.0);
  EXPECT_EQ(job->optimizer().no_decay_size(), 2);
  EXPECT_EQ(job->schedule().kind(), "wsd");
}

TEST(JobConfig, NamesUnknownKeysWithLineAndSuggestion) {
  EXPECT_EQ(errorOf(std::string(minimal) + "[training]\nstpes = 5\n"),
            "/jobs/job.toml:5: unknown key 'training.stpes'; did you mean 'steps'?");
  EXPECT_THAT(errorOf("modle = 'x'\n"), HasSubstr("job.toml:1: unknown key 'modle'; did you mean 'model'?"));
  EXPECT_THAT(errorOf("model = 'x'\n[trainnig]\nsteps = 4\n"), HasSubstr("job.toml:2: unknown key 'trainnig'"));
}

TEST(JobConfig, NamesWrongTypes) {
  EXPECT_EQ(errorOf("[training]\nsteps = 'many'\n"), "/jobs/job.toml:2: training.steps wants an integer, not a string");
  EXPECT_THAT(errorOf("[training]\nsteps = 1e4\n"), HasSubstr("wants an integer, not a number with a fraction"));
  EXPECT_THAT(errorOf("[training]\nseed = -1\n"), HasSubstr("wants an integer that is not negative"));
  EXPECT_THAT(errorOf("[training]\nresume = 1\n"), HasSubstr("wants true or false"));
  EXPECT_THAT(errorOf("[optimizer]\nno_decay = [1]\n"), HasSubstr("wants a string or an array of strings"));
  EXPECT_THAT(errorOf(std::string(minimal) + "weights = ['a']\n"), HasSubstr("data.weights wants an array of numbers"));
  EXPECT_THAT(errorOf(std::string(minimal) + "weights = 1\n"), HasSubstr("data.weights wants an array of numbers, not an integer"));
  EXPECT_THAT(errorOf("training = 3\n"), HasSubstr("training wants a table, not an integer"));
  EXPECT_THAT(errorOf("model = { a = 1 }\n"), HasSubstr("model wants a string, not a table"));
  EXPECT_THAT(errorOf("model = 2020-01-01\n"), HasSubstr("not a date or time"));
}

TEST(JobConfig, NamesSyntaxErrorsAtTheirLine) {
  EXPECT_THAT(errorOf("model = 'x'\nbroken = = 3\n"), HasSubstr("job.toml:2: "));
  EXPECT_THAT(errorOf("model = 'x'\nmodel = 'y'\n"), HasSubstr("job.toml:2: "));
  EXPECT_THAT(errorOf("model = \"\xff\"\n"), HasSubstr("job.toml:1: "));
  EXPECT_THAT(errorOf("[a"), HasSubstr("job.toml:1: "));
}

TEST(JobConfig, ChecksRangesAndRelations) {
  std::string base = minimal;
  EXPECT_THAT(errorOf("name = 'x'"), HasSubstr("model is missing"));
  EXPECT_THAT(errorOf("model = 'x'"), HasSubstr("data.train is missing"));
  EXPECT_THAT(errorOf(base + "[training]\nbatch = 0"), HasSubstr("training.batch = 0 is below 1"));
  EXPECT_THAT(errorOf(base + "[optimizer]\nbeta1 = 1.5"), HasSubstr("optimizer.beta1 = 1.5 is above"));
  EXPECT_THAT(errorOf(base + "[optimizer]\nlr = nan"), HasSubstr("not a finite number"));
  EXPECT_THAT(errorOf(base + "[schedule]\nkind = 'cosin'"), HasSubstr("did you mean 'cosine'?"));
  EXPECT_THAT(errorOf(base + "[training]\nbatch = 24\nmicro_batch = 8"), HasSubstr("power of two"));
  EXPECT_THAT(errorOf(base + "[distributed]\nfsdp = 3"), HasSubstr("not a power of two"));
  EXPECT_THAT(errorOf(base + "[distributed]\nfsdp = 8"), HasSubstr("cannot share 2 micro-batches"));
}

TEST(JobConfig, ReadsMixtures) {
  std::string mixture = "model = 'm.oriel'\n[data]\ntrain = ['a', '/b']\n";
  absl::StatusOr<Job> job = parseJob(mixture + "weights = [3, 0.5]\n", "/jobs/job.toml");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(job->data().train(), testing::ElementsAre("/jobs/a", "/b"));
  EXPECT_THAT(job->data().weights(), testing::ElementsAre(3, 0.5));
  EXPECT_EQ(printJob(*job), printJob(*parseJob(printJob(*job), "/elsewhere/other.toml")));
  EXPECT_THAT(printNumerics(*job), HasSubstr("data.weights = [3.0, 0.5]\n"));
  EXPECT_THAT(parseJob(mixture, "job.toml", std::vector<std::string>{"data.train=one"})->data().train(0),
              testing::EndsWith("/one"));
  EXPECT_EQ(parseJob(mixture, "/job.toml", std::vector<std::string>{"data.train=['x', \"y\"]"})->data().train(1), "/y");
  EXPECT_EQ(errorOf(mixture + "weights = [1]\n"),
            "/jobs/job.toml:4: data.weights has 1 numbers for the 2 of data.train");
  EXPECT_THAT(errorOf(mixture + "weights = [1, -1]\n"), HasSubstr("data.weights = -1 is below 1e-09"));
  EXPECT_THAT(errorOf("model = 'm'\n[data]\ntrain = []\n"), HasSubstr("data.train is missing"));
  EXPECT_THAT(errorOf("model = 'm'\n[data]\ntrain = ['a', '']\n"), HasSubstr("data.train is missing"));
}

TEST(JobConfig, NamesThePlaceOfAValueThatIsRefused) {
  std::string text = std::string(minimal) + "[training]\nbatch = 24\n[optimizer]\nlr = 11\n";
  EXPECT_EQ(errorOf(text), "/jobs/job.toml:7: optimizer.lr = 11 is above 10");
  EXPECT_EQ(errorOf(text, {"optimizer.lr=1"}),
            "/jobs/job.toml:5: training.batch = 24 is not training.micro_batch = 8 times a power of two");
  EXPECT_EQ(errorOf(text, {"optimizer.lr=1", "optimizer.lr=12", "training.batch=8"}),
            "--set optimizer.lr=12: optimizer.lr = 12 is above 10");
  EXPECT_EQ(errorOf(std::string(minimal) + "[training]\nmicro_batch = 3\n"),
            "/jobs/job.toml: training.batch = 16 is not training.micro_batch = 3 times a power of two");
}

TEST(JobConfig, AppliesOverrides) {
  std::vector<std::string> overrides{"training.steps=5",      "optimizer.lr=3e-4",        "name=my run",
                                     "schedule.kind=\"wsd\"", "optimizer.no_decay=['x']", "training.resume=false"};
  absl::StatusOr<Job> job = parseJob(minimal, "job.toml", overrides);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->training().steps(), 5);
  EXPECT_DOUBLE_EQ(job->optimizer().lr(), 3e-4);
  EXPECT_EQ(job->name(), "my run");
  EXPECT_EQ(job->schedule().kind(), "wsd");
  EXPECT_EQ(job->optimizer().no_decay(0), "x");
  EXPECT_FALSE(job->training().resume());
}

TEST(JobConfig, NamesBadOverrides) {
  EXPECT_THAT(errorOf(minimal, {"training.stpes=5"}), HasSubstr("--set training.stpes=5: unknown key"));
  EXPECT_THAT(errorOf(minimal, {"training.steps=five"}), HasSubstr("training.steps wants an integer, not 'five'"));
  EXPECT_THAT(errorOf(minimal, {"training.steps=1\nx=2"}), HasSubstr("training.steps wants an integer"));
  EXPECT_THAT(errorOf(minimal, {"training.steps"}), HasSubstr("wants KEY=VALUE"));
  EXPECT_THAT(errorOf(minimal, {"training=5"}), HasSubstr("training is a table"));
  EXPECT_THAT(errorOf(minimal, {"name.x=5"}), HasSubstr("name is not a table"));
}

TEST(JobConfig, PrintsWhatItReads) {
  absl::StatusOr<Job> job = parseJob(minimal, "/jobs/job.toml",
                                     std::vector<std::string>{"name=\"q\\\"uo\\\\te\\n\\u0001\"", "optimizer.lr=1e-7",
                                                              "optimizer.no_decay=['a','b']"});
  ASSERT_TRUE(job.ok()) << job.status();
  absl::StatusOr<Job> again = parseJob(printJob(*job), "/elsewhere/other.toml");
  ASSERT_TRUE(again.ok()) << again.status() << printJob(*job);
  Job defaulted = *again; // printing sets every default explicitly
  EXPECT_EQ(printJob(*job), printJob(defaulted));
  EXPECT_EQ(again->name(), "q\"uo\\te\n\x01");
  EXPECT_DOUBLE_EQ(again->optimizer().lr(), 1e-7);
}

TEST(JobConfig, DescribesEveryKey) {
  std::string text = describeJobSchema();
  EXPECT_THAT(text, HasSubstr("[optimizer]"));
  EXPECT_THAT(text, HasSubstr("(one of cosine, wsd, constant)"));
  EXPECT_THAT(text, HasSubstr("peak learning rate (0 … 10)"));
}

TEST(JobConfig, NamesWhatChangesNumbers) {
  auto parsed = [](std::vector<std::string> overrides) { return *parseJob(minimal, "/jobs/job.toml", overrides); };
  Job before = parsed({}), after = parsed({"training.steps=5", "optimizer.no_decay=['a', 'b = c']", "run_dir=/tmp/x"});
  EXPECT_EQ(numericsDifference(printNumerics(before), before), "");
  EXPECT_EQ(numericsDifference(printNumerics(before), after),
            "optimizer.no_decay = [\"a\", \"b = c\"] (was []), training.steps = 5 (was 1000)");
  EXPECT_EQ(numericsDifference(printNumerics(after), after), "");
  EXPECT_EQ(numericsDifference("", after), "which, it did not write down");
}

TEST(JobConfig, HashesOnlyWhatChangesNumbers) {
  auto hash = [](std::vector<std::string> overrides) {
    absl::StatusOr<Job> job = parseJob(minimal, "/jobs/job.toml", overrides);
    EXPECT_TRUE(job.ok());
    return jobNumericsHash(*job);
  };
  std::string base = hash({});
  EXPECT_EQ(base, hash({"run_dir=/tmp/x", "distributed.deadline=5", "checkpoint.every=7", "distributed.fsdp=2"}));
  EXPECT_EQ(base, hash({"training.seed=1"})) << "a default written out is the same job";
  EXPECT_NE(base, hash({"training.seed=2"}));
  EXPECT_NE(base, hash({"optimizer.lr=2e-3"}));
  EXPECT_NE(base, hash({"optimizer.no_decay=['a']"}));
}

} // namespace
} // namespace oriel::trainer
