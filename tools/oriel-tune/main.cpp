// oriel-tune: shows, explains, compares and tunes what orielc decided. Parses options and calls compiler/tune; no logic
// of its own.
#include "compiler/tune/Commands.h"
#include "runtime/base/Counts.h"
#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "tools/common/CommandLine.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>

namespace {

using namespace oriel;
using tune::Workbench;

struct Options {
  tune::Request request;
  runtime::TuningFiles files;
  std::string output;  // of what is printed
  std::string written; // descriptor or record
  int64_t candidates = 8;
  std::vector<double> budgets = {90, 80, 70, 60, 50, 40, 35}; // %
  std::vector<std::string> paths;
};
constexpr char kModel[] = "a model (.oriel)", kPackageOrModel[] = "a package folder, or a model (.oriel)";
using Command = std::function<absl::StatusOr<std::string>(Workbench &, const Options &)>;

void addModelOptions(CLI::App &app, Options &options) {
  app.add_option("--batch", options.request.model.batch, "rows of one micro-batch (models only)")
      ->capture_default_str()
      ->check(runtime::positiveCount());
  app.add_option("--tokens", options.request.model.tokens, "tokens of one row (models only)")
      ->capture_default_str()
      ->check(runtime::positiveCount());
  app.add_option("--memory-budget", options.request.model.memoryBudget,
                 "of the whole step: 'auto', a size such as 6GiB, 'least' or 'unlimited' (models only)")
      ->capture_default_str();
  app.add_option("--dtype", options.request.model.dtype, "of activations and products: f32 or bf16 (models only)")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--target", options.request.model.target,
                 "cpu, nvidia:CHIP, or CHIP: sm_80, sm_90a, sm_100a (models only)")
      ->transform([](const std::string &target) { return target.starts_with("sm_") ? "nvidia:" + target : target; })
      ->capture_default_str();
  app.add_option("--schedule", options.request.model.schedule, "tape.schedule text to use (models only)");
  app.add_option("--device", options.files.device,
                 "device descriptor instead of this machine's: a file, or generic-cpu, a100, b200, h100, h200");
  app.add_option("--tuning", options.files.record, "tuning record instead of this machine's");
  app.add_flag("--measure", options.request.measure, "run the step too");
  app.add_option("--repeats", options.request.repeats, "runs of which medians are taken")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
}

void addFormats(CLI::App &app, Options &options) {
  auto *json = app.add_flag_callback(
      "--json", [&] { options.request.format = tune::Format::Json; }, "JSON, for programs");
  app.add_flag_callback(
         "--html", [&] { options.request.format = tune::Format::Html; }, "a page with drawings, for people")
      ->excludes(json);
  app.add_option("-o,--output", options.output, "file instead of the terminal");
}

int run(const Command &command, const Options &options) {
  auto report = [](const absl::Status &status) {
    std::cerr << "oriel-tune: " << status.message() << "\n";
    return 1;
  };
  absl::StatusOr<std::unique_ptr<Workbench>> bench = Workbench::open(options.files);
  if (!bench.ok())
    return report(bench.status());
  if (!(*bench)->warning().empty())
    std::cerr << "oriel-tune: " << (*bench)->warning() << "\n";
  absl::StatusOr<std::string> text = command(**bench, options);
  if (!text.ok())
    return report(text.status());
  if (options.output.empty()) {
    std::cout << *text;
    return 0;
  }
  absl::Status written = runtime::writeFileAtomically(options.output, *text);
  return written.ok() ? 0 : report(written);
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"oriel-tune shows what a compiled training step is made of, explains its schedule, and tunes it."};
  app.set_version_flag("--version", std::string("oriel-tune ") + ORIEL_VERSION);
  app.require_subcommand(1);
  Options options;
  Command command;
  // Names of positional arguments with their meanings.
  using Operands = std::vector<std::pair<const char *, const char *>>;
  auto add = [&](const char *name, const char *what, const Operands &operands, Command action) {
    CLI::App *sub = app.add_subcommand(name, what);
    options.paths.resize(2);
    for (size_t i = 0; i < operands.size(); ++i)
      sub->add_option(operands[i].first, options.paths[i], operands[i].second)->required();
    addModelOptions(*sub, options);
    addFormats(*sub, options);
    sub->callback([&command, action] { command = action; });
    return sub;
  };
  add("show", "kernels, schedule and memory of a package or a model", {{"PATH", kPackageOrModel}},
      [](Workbench &bench, const Options &o) { return tune::show(bench, o.paths[0], o.request); });
  add("explain", "why a layer runs as it does, and what its rivals would cost", {{"LAYER", "its name, as `show` prints it: layers.0.mixer"}, {"MODEL", kModel}},
      [](Workbench &bench, const Options &o) { return tune::explain(bench, o.paths[0], o.paths[1], o.request); });
  add("diff", "where the steps of two packages or models differ", {{"A", kPackageOrModel}, {"B", kPackageOrModel}},
      [](Workbench &bench, const Options &o) { return tune::diff(bench, o.paths[0], o.paths[1], o.request); });
  CLI::App *frontier =
      add("frontier", "step time against memory budget", {{"MODEL", kModel}},
          [](Workbench &bench, const Options &o) { return tune::frontier(bench, o.paths[0], o.request, o.budgets); });
  frontier->add_option("--budgets", options.budgets, "percentages of the arena that keeps everything")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 99));
  CLI::App *calibrate =
      add("calibrate", "measure a model by several schedules; write this machine's device descriptor", {{"MODEL", kModel}},
          [](Workbench &bench, const Options &o) { return tune::calibrate(bench, o.paths[0], o.request, o.written); });
  calibrate->add_option("--write", options.written,
                        "the descriptor's file instead of the one that orielc finds by itself");
  CLI::App *search =
      add("search", "measure schedules of a model's recurrent mixers and write this machine's tuning record; for a GPU, assemble them", {{"MODEL", kModel}},
          [](Workbench &bench, const Options &o) {
            return tune::search(bench, o.paths[0], o.request, o.candidates, o.written);
          });
  search->add_option("--write", options.written, "the record's file instead of the one that orielc finds by itself");
  search->add_option("--candidates", options.candidates, "schedules to measure, the fastest in prediction first")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  if (std::optional<int> code = oriel::parseCommandLine(app, argc, argv))
    return *code;
  return run(command, options);
}
