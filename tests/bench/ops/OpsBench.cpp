// Times one mixer, forward and gradient, as orielc compiles it and the executor runs it: no projections, no rotary
// positions. Prints one JSON line with wall-clock and CPU milliseconds of each run, after one run that is not counted.
#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/base/TemporaryFolder.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/executor/Executor.h"

#include "absl/strings/str_cat.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <random>

namespace oriel::runtime {
namespace {

struct Mixer {
  std::string kind, dtype = "f32";
  int64_t tokens = 0, window = 0, heads = 8, kvHeads = 2, headDim = 128, batch = 1;
  std::string schedule; // a file of tape.schedule lines; empty: the compiler chooses
};

std::string tensor(std::initializer_list<int64_t> sizes, const char *element = "f32") {
  std::string text = "tensor<";
  for (int64_t size : sizes)
    absl::StrAppend(&text, size, "x");
  return text + element + ">";
}

/// The function of one mixer with gradients of q, k and v.
std::string moduleText(const Mixer &m) {
  std::string q = tensor({m.batch, m.tokens, m.heads, m.headDim}),
              k = tensor({m.batch, m.tokens, m.kvHeads, m.headDim});
  std::string scale = tensor({m.heads, m.headDim}), lse = tensor({m.batch, m.heads, m.tokens});
  std::string op;
  if (m.kind == "ra")
    op = absl::StrCat(
        "%y = lm.rattention %q, %k, %v, %a swa_scale(%b) {window = ", m.window,
        " : i64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-6 : f64, theta = 0.0 : f64, rope_layout = "
        "#lm.rope_layout<half>, rotary_dim = 0 : i64} : (",
        q, ", ", k, ", ", k, ", ", scale, ", ", scale, ") -> ", q);
  else
    op = absl::StrCat("%y, %lse = lm.attention %q, %k, %v {window = ", m.kind == "full" ? -1 : m.window,
                      " : i64, scale = 8.838834764831845e-2 : f64, soft_cap = 0.0 : f64} : (", q, ", ", k, ", ", k,
                      ") -> (", q, ", ", lse, ")");
  return absl::StrCat("func.func @mixer(%q: ", q, ", %k: ", k, ", %v: ", k, ", %a: ", scale, ", %b: ", scale, ") -> ",
                      q, " attributes {lm.vjp = {wrt = [0, 1, 2], cotangents = [true]}} {\n  ", op,
                      "\n  return %y : ", q, "\n}\n");
}

absl::StatusOr<std::shared_ptr<const Package>> compile(const Mixer &mixer, const std::string &folder) {
  std::string source = folder + "/mixer.mlir", package = folder + "/package";
  ORIEL_RETURN_IF_ERROR(writeFileAtomically(source, moduleText(mixer)));
  std::vector<std::string> command = {BENCH_ORIELC, source, "--dtype", mixer.dtype, "-o", package};
  if (!mixer.schedule.empty())
    command.insert(command.end(), {"--schedule", mixer.schedule});
  ORIEL_ASSIGN_OR_RETURN(ProcessResult result, runProcess(command, Deadline::after(300)));
  if (result.exitStatus != 0)
    return absl::FailedPreconditionError(result.standardError);
  return Package::load(package);
}

absl::Status fillInputs(Executor &executor, const plan::EntryPoint &entry) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (const std::string &name : entry.inputs()) {
    ORIEL_ASSIGN_OR_RETURN(absl::Span<float> values, executor.buffer<float>(name));
    for (float &value : values)
      value = normal(rng);
  }
  return absl::OkStatus();
}

double seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

absl::Status measure(const Mixer &mixer, int threads, int repeats, const std::string &folder) {
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<const Package> package, compile(mixer, folder));
  ORIEL_ASSIGN_OR_RETURN(auto device, createCpuDevice({threads}));
  auto group = createLocalGroup(1);
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, Executor::create(package, *device, *group.front()));
  ORIEL_RETURN_IF_ERROR(fillInputs(*executor, *package->findEntry("vjp")));
  ORIEL_RETURN_IF_ERROR(executor->run("vjp"));
  std::string wall, cpu;
  for (int i = 0; i < repeats; ++i) {
    double wallStart = seconds(CLOCK_MONOTONIC), cpuStart = seconds(CLOCK_PROCESS_CPUTIME_ID);
    ORIEL_RETURN_IF_ERROR(executor->run("vjp"));
    absl::StrAppend(&wall, i ? ", " : "", 1e3 * (seconds(CLOCK_MONOTONIC) - wallStart));
    absl::StrAppend(&cpu, i ? ", " : "", 1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpuStart));
  }
  std::printf("{\"op\": \"%s\", \"dtype\": \"%s\", \"tokens\": %ld, \"window\": %ld, \"threads\": %d, \"wall_ms\": "
              "[%s], \"cpu_ms\": [%s]}\n",
              mixer.kind.c_str(), mixer.dtype.c_str(), mixer.tokens, mixer.window, threads, wall.c_str(), cpu.c_str());
  return absl::OkStatus();
}

int run(int argc, char **argv) {
  Mixer mixer;
  int threads = 2, repeats = 1;
  CLI::App app("times one mixer, forward and gradient");
  app.add_option("kind", mixer.kind, "full, swa or ra")->required()->check(CLI::IsMember({"full", "swa", "ra"}));
  app.add_option("tokens", mixer.tokens, "of one row")->required()->check(CLI::PositiveNumber);
  app.add_option("window", mixer.window, "of swa and ra")->required();
  app.add_option("--dtype", mixer.dtype, "f32 or bf16")->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  app.add_option("--threads", threads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--repeats", repeats)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--heads", mixer.heads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--kv-heads", mixer.kvHeads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--head-dim", mixer.headDim)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--batch", mixer.batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--schedule", mixer.schedule, "tape.schedule lines; none: the compiler chooses")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::create("oriel-bench-ops");
  absl::Status status = folder.ok() ? measure(mixer, threads, repeats, folder->path()) : folder.status();
  if (!status.ok())
    std::fprintf(stderr, "oriel-bench-ops: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

} // namespace
} // namespace oriel::runtime

int main(int argc, char **argv) { return oriel::runtime::run(argc, argv); }
