// Any legal schedule gives the same loss and gradients: chunks, save intervals, and values saved or re-made.
//
// A small model with packed documents is compiled with several schedule texts; each package runs one micro-batch on the
// same parameters and tokens. Odd sizes: the row is no multiple of any chunk, and some chunks are longer than the row.
#include "runtime/base/Subprocess.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/executor/Executor.h"

#include "gtest/gtest.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

namespace oriel::runtime {
namespace {

constexpr int64_t batchRows = 2, rowTokens = 75, vocabulary = 64;

const char modelText[] = R"(
model tiny {
  d = 32   heads = 4   kv_heads = 2   head_dim = 16
  block layer(mixer) {
    residual { rms_norm | mixer }
    residual { rms_norm | gated_mlp(hidden = 48, activation = silu) }
  }
  embed(vocab = 64, dim = d)
  | layer(rattention(heads, kv_heads, head_dim, window = 7, rope = 1e4))
  | layer(attention(heads, kv_heads, head_dim, rope = 1e4))
  | layer(rattention(heads, kv_heads, head_dim, window = 20, rope = 1e4))
  | rms_norm | unembed(tied) | cross_entropy
}
)";

struct StepResult {
  float loss = 0;
  std::vector<float> gradients;
};

class ScheduleProperty : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("oriel-schedule-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    write("tiny.oriel", modelText);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string &name, const std::string &text) {
    std::string path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }

  ProcessResult orielc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), TEST_ORIELC);
    for (const char *more : {"--batch", "2", "--tokens", "75"})
      arguments.push_back(more);
    auto result = runProcess(arguments, Deadline::after(300));
    return result.ok() ? *result : ProcessResult{1, "", std::string(result.status().message())};
  }

  /// Compiles with `schedule` (empty: the compiler's own) and runs one micro-batch.
  absl::StatusOr<StepResult> step(const std::string &schedule);

  std::filesystem::path folder_;
  int packages_ = 0;
};

/// The same parameters and tokens for every package.
void fillInputs(Executor &executor) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal(0.0f, 0.3f);
  auto params = *executor.buffer<float>("params");
  for (float &value : params)
    value = normal(rng);
  auto tokens = *executor.buffer<int32_t>("tokens"), targets = *executor.buffer<int32_t>("targets");
  auto starts = *executor.buffer<int32_t>("doc_start");
  for (int64_t i = 0; i < batchRows * rowTokens; ++i) {
    tokens[i] = static_cast<int32_t>(rng() % vocabulary);
    targets[i] = i % 13 == 0 ? -1 : static_cast<int32_t>(rng() % vocabulary);
    int64_t t = i % rowTokens;
    starts[i] = i < rowTokens ? (t < 33 ? 0 : 33) : 0; // the first row holds two documents
  }
  (*executor.buffer<float>("loss_scale"))[0] = 0.5f;
}

absl::StatusOr<StepResult> ScheduleProperty::step(const std::string &schedule) {
  std::string package = folder_ / ("package" + std::to_string(packages_++));
  std::vector<std::string> arguments = {folder_ / "tiny.oriel", "-o", package};
  if (!schedule.empty()) {
    arguments.push_back("--schedule");
    arguments.push_back(write("schedule.mlir", schedule));
  }
  ProcessResult compiled = orielc(arguments);
  if (compiled.exitStatus != 0)
    return absl::InternalError(compiled.standardError);
  auto loaded = Package::load(package);
  if (!loaded.ok())
    return loaded.status();
  auto device = createCpuDevice({});
  if (!device.ok())
    return device.status();
  auto communicator = std::move(createLocalGroup(1)[0]);
  auto executor = Executor::create(*loaded, **device, *communicator);
  if (!executor.ok())
    return executor.status();
  fillInputs(**executor);
  if (absl::Status status = (*executor)->run("micro"); !status.ok())
    return status;
  auto gradients = *(*executor)->buffer<float>("grads");
  return StepResult{(*(*executor)->buffer<float>("loss"))[0], {gradients.begin(), gradients.end()}};
}

double relativeError(const std::vector<float> &a, const std::vector<float> &b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

/// A schedule text for both mixers, and for every value `action` (empty: not mentioned).
std::string scheduleText(const std::string &decisions, int chunk, int saveEvery, const std::string &action,
                         bool fused = false) {
  std::string text, line;
  std::istringstream lines(decisions);
  while (std::getline(lines, line)) {
    size_t at = line.find('@');
    if (at == std::string::npos)
      continue;
    std::string path = line.substr(at, line.find(' ', at) - at);
    if (line.find(" chunk ") != std::string::npos)
      text += "tape.schedule " + path + " chunk " + std::to_string(chunk) + " save_every " + std::to_string(saveEvery) +
              (fused ? " fused\n" : "\n");
    else if (!action.empty())
      text += "tape.schedule " + path + " " + action + "\n";
  }
  return text;
}

TEST_F(ScheduleProperty, AnyLegalScheduleGivesTheSameGradients) {
  ProcessResult own = orielc({folder_ / "tiny.oriel", "--emit", "schedule"});
  ASSERT_EQ(own.exitStatus, 0) << own.standardError;
  auto judge = step("");
  ASSERT_TRUE(judge.ok()) << judge.status();
  ASSERT_GT(judge->loss, 0);

  struct Setting {
    int chunk, saveEvery;
    const char *action;
    bool fused;
  };
  for (Setting setting : {Setting{16, 1, "save", false},
                          {16, 3, "recompute", true},
                          {32, 2, "", true},
                          {32, 2, "", false},
                          {64, 4, "recompute", false},
                          {128, 1, "save", true}}) {
    std::string text =
        scheduleText(own.standardOutput, setting.chunk, setting.saveEvery, setting.action, setting.fused);
    ASSERT_NE(text.find("save_every"), std::string::npos) << own.standardOutput;
    auto result = step(text);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_NEAR(result->loss, judge->loss, 1e-5 * judge->loss) << text;
    EXPECT_LT(relativeError(result->gradients, judge->gradients), 1e-5) << text;
  }
}

TEST_F(ScheduleProperty, RecomputedValuesChangeNoBit) {
  ProcessResult own = orielc({folder_ / "tiny.oriel", "--emit", "schedule"});
  ASSERT_EQ(own.exitStatus, 0) << own.standardError;
  auto saved = step(scheduleText(own.standardOutput, 32, 2, "save"));
  auto remade = step(scheduleText(own.standardOutput, 32, 2, "recompute"));
  ASSERT_TRUE(saved.ok() && remade.ok()) << saved.status() << remade.status();
  EXPECT_EQ(saved->gradients, remade->gradients);
}

TEST_F(ScheduleProperty, UnknownPathIsAnError) {
  std::string schedule = write("wrong.mlir", "tape.schedule @layers.7.mixer.rla chunk 64 save_every 4\n");
  ProcessResult result = orielc({folder_ / "tiny.oriel", "-o", folder_ / "package", "--schedule", schedule});
  EXPECT_NE(result.exitStatus, 0);
  EXPECT_NE(result.standardError.find("layers.7.mixer.rla"), std::string::npos) << result.standardError;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "package"));
}

} // namespace
} // namespace oriel::runtime
