// Any legal schedule gives the same loss and gradients: chunks, save intervals, and values saved or re-made.
//
// A small model with packed documents is compiled with several schedule texts; each package runs one micro-batch on the
// same parameters and tokens. Odd sizes: the row is no multiple of any chunk, and some chunks are longer than the row.
#include "runtime/base/Subprocess.h"
#include "runtime/base/TemporaryFolder.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/executor/Executor.h"

#include "gtest/gtest.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>

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
  uint64_t memoryBytes = 0;       // of the executor
  uint64_t arenaBytes = 0;        // of @micro, in the plan
  uint64_t allocatedBytes = 0;    // high-water mark of the device
  uint64_t touchedArenaBytes = 0; // high-water mark of the arena
};

/// A CPU device that remembers what it gave out. The executor asks for one block and keeps it.
class WatchedDevice : public Device {
public:
  explicit WatchedDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}

  std::string description() const override { return device_->description(); }
  int threads() const override { return device_->threads(); }
  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes, MemoryUse use) override {
    auto memory = device_->allocate(bytes, use);
    if (memory.ok()) {
      allocatedBytes += bytes;
      block = (*memory)->data();
    }
    return memory;
  }
  absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const plan::Plan &plan,
                                                             const std::string &stem) override {
    return device_->loadKernels(plan, stem);
  }
  absl::StatusOr<std::shared_ptr<PreparedGemm>> prepareGemm(const GemmSpec &spec) override {
    return device_->prepareGemm(spec);
  }
  absl::Status launch(PreparedLaunch &launch, void *const *addresses) override {
    return device_->launch(launch, addresses);
  }
  absl::Status gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) override {
    return device_->gemm(gemm, a, b, c);
  }
  absl::Status fillZero(void *target, size_t bytes) override { return device_->fillZero(target, bytes); }
  absl::Status copy(void *target, const void *source, size_t bytes) override {
    return device_->copy(target, source, bytes);
  }
  absl::Status synchronize() override { return device_->synchronize(); }

  size_t allocatedBytes = 0;
  std::byte *block = nullptr;

private:
  std::unique_ptr<Device> device_;
};

constexpr std::byte untouched{0xA5};

/// The end of what differs from `untouched`, to the next multiple of 64.
uint64_t touchedBytes(const std::byte *block, uint64_t bytes) {
  while (bytes > 0 && block[bytes - 1] == untouched)
    --bytes;
  return (bytes + 63) / 64 * 64;
}

class ScheduleProperty : public testing::Test {
protected:
  void SetUp() override {
    write("tiny.oriel", modelText);
  }

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
  absl::StatusOr<StepResult> step(const std::string &schedule, const std::string &budget = "auto");

  /// What `orielc --explain` says of the memory of the model under a budget.
  uint64_t plannedBytes(const std::string &budget) {
    std::string text = orielc({folder_ / "tiny.oriel", "--memory-budget", budget, "--explain"}).standardOutput;
    size_t at = text.find("planned peak ");
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + 13));
  }

  TemporaryFolder temporary_ = *TemporaryFolder::create("oriel-schedule");
  std::filesystem::path folder_ = temporary_.path();
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

absl::StatusOr<StepResult> ScheduleProperty::step(const std::string &schedule, const std::string &budget) {
  std::string package = folder_ / ("package" + std::to_string(packages_++));
  std::vector<std::string> arguments = {folder_ / "tiny.oriel", "-o", package, "--memory-budget", budget};
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
  WatchedDevice watched(*std::move(device));
  auto communicator = std::move(createLocalGroup(1)[0]);
  auto executor = Executor::create(*loaded, watched, *communicator);
  if (!executor.ok())
    return executor.status();
  fillInputs(**executor);
  StepResult result;
  for (const plan::EntryPoint &entry : (*loaded)->plan().entry_points())
    if (entry.name() == "micro")
      result.arenaBytes = entry.arena_bytes();
  std::fill_n(watched.block, (*loaded)->plan().arena_bytes(), untouched);
  if (absl::Status status = (*executor)->run("micro"); !status.ok())
    return status;
  auto gradients = *(*executor)->buffer<float>("grads");
  result.loss = (*(*executor)->buffer<float>("loss"))[0];
  result.gradients = {gradients.begin(), gradients.end()};
  result.memoryBytes = (*executor)->memoryBytes();
  result.allocatedBytes = watched.allocatedBytes;
  result.touchedArenaBytes = touchedBytes(watched.block, (*loaded)->plan().arena_bytes());
  return result;
}

double relativeError(const std::vector<float> &a, const std::vector<float> &b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

/// A schedule text for both mixers (`way`: its other words), and for every op `actionOf(path)`
/// (empty: not mentioned).
std::string scheduleText(const std::string &decisions, int chunk, int saveEvery,
                         const std::function<std::string(const std::string &)> &actionOf, const std::string &way = "") {
  std::string text, line;
  std::istringstream lines(decisions);
  while (std::getline(lines, line)) {
    size_t at = line.find('@');
    if (at == std::string::npos)
      continue;
    std::string path = line.substr(at, line.find(' ', at) - at);
    bool isMixer = line.find(" chunk ") != std::string::npos;
    std::string action = actionOf(path);
    if (!isMixer && action.empty())
      continue;
    text += "tape.schedule " + path;
    if (isMixer)
      text += " chunk " + std::to_string(chunk) + " save_every " + std::to_string(saveEvery) + " " + way;
    text += (action.empty() ? "" : " " + action) + "\n";
  }
  return text;
}

std::string scheduleText(const std::string &decisions, int chunk, int saveEvery, const std::string &action,
                         const std::string &way = "") {
  return scheduleText(
      decisions, chunk, saveEvery, [&](const std::string &) { return action; }, way);
}

TEST_F(ScheduleProperty, AnyLegalScheduleGivesTheSameGradients) {
  ProcessResult own = orielc({folder_ / "tiny.oriel", "--emit", "schedule"});
  ASSERT_EQ(own.exitStatus, 0) << own.standardError;
  auto judge = step("");
  ASSERT_TRUE(judge.ok()) << judge.status();
  ASSERT_GT(judge->loss, 0);

  struct Setting {
    int chunk, saveEvery;
    const char *way, *action;
  };
  for (Setting setting : {Setting{16, 1, "", "save"},
                          {16, 1, "two_pass", "save"},
                          {16, 3, "fused tile 48", "recompute"},
                          {16, 3, "two_pass fused", "recompute"},
                          {32, 2, "fused", ""},
                          {32, 2, "two_pass", "recompute"},
                          {32, 2, "", ""},
                          {64, 4, "", "recompute"},
                          {128, 1, "fused", "save"}}) {
    std::string text = scheduleText(own.standardOutput, setting.chunk, setting.saveEvery, setting.action, setting.way);
    ASSERT_NE(text.find("save_every"), std::string::npos) << own.standardOutput;
    auto result = step(text);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_NEAR(result->loss, judge->loss, 1e-5 * judge->loss) << text;
    EXPECT_LT(relativeError(result->gradients, judge->gradients), 1e-5) << text;
  }
}

/// Chains of every length: any op, mixers among them, may run again, whatever its inputs do; with the last seed all do.
TEST_F(ScheduleProperty, RecomputationChainsGiveTheSameGradients) {
  ProcessResult own = orielc({folder_ / "tiny.oriel", "--emit", "schedule"});
  ASSERT_EQ(own.exitStatus, 0) << own.standardError;
  auto saved = step(scheduleText(own.standardOutput, 32, 2, "save"));
  ASSERT_TRUE(saved.ok()) << saved.status();
  for (const char *way : {"", "fused"})
    for (unsigned seed : {1, 3, 5, 6}) {
      std::mt19937 rng(seed);
      auto action = [&](const std::string &) -> std::string { return rng() % 6 < seed ? "recompute" : "save"; };
      std::string text = scheduleText(own.standardOutput, 32, 2, action, way);
      auto mixed = step(text);
      ASSERT_TRUE(mixed.ok()) << mixed.status();
      if (*way) { // other kernels than those that saved
        EXPECT_NEAR(mixed->loss, saved->loss, 1e-5 * saved->loss) << text;
        EXPECT_LT(relativeError(mixed->gradients, saved->gradients), 1e-5) << text;
      } else {
        EXPECT_EQ(saved->loss, mixed->loss) << text;
        EXPECT_EQ(saved->gradients, mixed->gradients) << text;
      }
    }
}

TEST_F(ScheduleProperty, LessMemoryGivesTheSameGradients) {
  auto fast = step("", "unlimited");
  auto small = step("", "least");
  ASSERT_TRUE(fast.ok() && small.ok()) << fast.status() << small.status();
  EXPECT_LT(small->arenaBytes, 0.6 * static_cast<double>(fast->arenaBytes));
  std::string between = std::to_string((small->memoryBytes + fast->memoryBytes) / 2) + " B";
  auto middle = step("", between);
  ASSERT_TRUE(middle.ok()) << middle.status();
  EXPECT_LE(middle->memoryBytes, (small->memoryBytes + fast->memoryBytes) / 2);
  for (const StepResult *result : {&*small, &*middle}) {
    EXPECT_NEAR(result->loss, fast->loss, 1e-5 * fast->loss);
    EXPECT_LT(relativeError(result->gradients, fast->gradients), 1e-5);
  }
}

/// The plan's numbers are what happens: the device gives out as much as the compiler planned, and a step touches the
/// arena up to its planned end and no further.
TEST_F(ScheduleProperty, PeakMemoryIsThePlannedNumber) {
  for (const char *budget : {"auto", "unlimited", "least"}) {
    auto result = step("", budget);
    ASSERT_TRUE(result.ok()) << result.status();
    uint64_t planned = plannedBytes(budget);
    EXPECT_EQ(result->memoryBytes, planned) << budget;
    EXPECT_EQ(result->allocatedBytes, planned) << budget;
    EXPECT_EQ(result->touchedArenaBytes, result->arenaBytes) << budget;
  }
}

TEST_F(ScheduleProperty, ABudgetThatNothingFitsNamesTheLeast) {
  ProcessResult result = orielc({folder_ / "tiny.oriel", "-o", folder_ / "package", "--memory-budget", "64 KiB"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_NE(result.standardError.find("no schedule of @micro fits the memory budget of 65536 bytes"), std::string::npos)
      << result.standardError;
  size_t at = result.standardError.find("the least possible is ");
  ASSERT_NE(at, std::string::npos) << result.standardError;
  std::string least = result.standardError.substr(at + 22, result.standardError.find(' ', at + 22) - at - 22);
  auto fits = step("", least + "B");
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_EQ(std::to_string(fits->memoryBytes), least);
  EXPECT_EQ(orielc({folder_ / "tiny.oriel", "-o", folder_ / "package", "--memory-budget", "64"}).exitStatus, 1);
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
