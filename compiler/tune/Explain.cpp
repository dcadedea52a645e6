// oriel-tune explain: what was decided for the mixers and ops of a layer, against what the rivals would have cost. Each
// rival is put in the place of what was chosen, everything else as it is, and the step is predicted again: differences
// are the schedule problem's. Time and peak of the step itself are those of the package, as `show` tells them.
#include "compiler/tune/Chart.h"
#include "compiler/tune/Commands.h"
#include "compiler/tune/MixerWay.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"
#include "compiler/tune/TilingReport.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>

namespace oriel::tune {
namespace {

using nlohmann::ordered_json;
using schedule::MixerCandidate;
using schedule::Prediction;
using schedule::Problem;
using schedule::Schedule;

/// The difference of a rival to what was chosen, for the whole step.
struct Change {
  double seconds = 0;
  int64_t peakBytes = 0;
};

struct Rival {
  MixerCandidate candidate;
  bool chosen = false;
  Change change;
};

struct MixerStory {
  std::string path;
  std::vector<Rival> rivals; // the chosen one, then the others by their time
  std::vector<schedule::RefusedWay> refused;
};

struct OpStory {
  std::string path;
  int64_t bytes = 0; // of results that the backward reads
  double recomputeSeconds = 0;
  bool recompute = false;
  bool isNeeded = false; // by the backward
  Change otherwise;      // if it were decided the other way
};

struct Story {
  std::string layer, device, assembly; // assembly: of a GPU's kernels
  double stepSeconds = 0;
  int64_t peakBytes = 0, budgetBytes = 0;
  std::vector<MixerStory> mixers;
  std::vector<OpStory> ops;
  std::vector<schedule::TilingQuestion> tilings; // of the layer's kernels, as its mixers run
};

/// The solution that the package was made by.
absl::StatusOr<Schedule> scheduleOf(const Problem &problem, const plan::EntryPoint &entry) {
  Schedule schedule{std::vector<size_t>(problem.mixers.size(), 0), std::vector<bool>(problem.ops.size(), false)};
  for (const plan::Decision &decision : entry.schedule()) {
    for (size_t i = 0; i < problem.ops.size(); ++i)
      if (problem.ops[i].path == decision.path())
        schedule.recompute[i] = decision.recompute();
    for (size_t m = 0; m < problem.mixers.size(); ++m) {
      const schedule::Mixer &mixer = problem.mixers[m];
      if (problem.path(mixer) != decision.path())
        continue;
      auto isChosen = [&](const schedule::MixerWay &way) { return way == wayOf(decision); };
      auto found = std::find_if(mixer.candidates.begin(), mixer.candidates.end(), isChosen);
      if (found == mixer.candidates.end())
        return absl::InternalError("the schedule problem does not have what was chosen for " + decision.path());
      schedule.candidates[m] = found - mixer.candidates.begin();
    }
  }
  return schedule;
}

bool isOfLayer(const std::string &path, const std::string &layer) {
  return path == layer ||
         (path.size() > layer.size() && path.compare(0, layer.size(), layer) == 0 && path[layer.size()] == '.');
}

Change changeBy(const Problem &problem, const Prediction &step, const Schedule &rival) {
  Prediction other = predict(problem, rival);
  return {other.seconds - step.seconds, other.peakBytes - step.peakBytes};
}

MixerStory tellMixer(const Problem &problem, const Prediction &step, const Schedule &chosen, size_t m) {
  const schedule::Mixer &mixer = problem.mixers[m];
  MixerStory story{problem.path(mixer), {}, mixer.refused};
  for (size_t c = 0; c < mixer.candidates.size(); ++c) {
    Schedule rival = chosen;
    rival.candidates[m] = c;
    story.rivals.push_back({mixer.candidates[c], c == chosen.candidates[m], changeBy(problem, step, rival)});
  }
  std::stable_sort(story.rivals.begin(), story.rivals.end(), [](const Rival &a, const Rival &b) {
    return a.chosen != b.chosen ? a.chosen : a.candidate.seconds() < b.candidate.seconds();
  });
  return story;
}

OpStory tellOp(const Problem &problem, const Prediction &step, const Schedule &chosen, size_t i) {
  const schedule::Op &op = problem.ops[i];
  OpStory story{op.path, 0, op.recomputeSeconds, chosen.recompute[i], !needsOf(problem, chosen).ops[i].empty(), {}};
  for (const schedule::Result &result : op.results)
    story.bytes += result.backward.empty() ? 0 : result.bytes;
  Schedule rival = chosen;
  rival.recompute[i] = !rival.recompute[i];
  story.otherwise = changeBy(problem, step, rival);
  return story;
}

/// Whether a kernel of the question runs in the layer: of mixers only the kernels of the ways that were chosen do.
bool runsIn(const schedule::TilingQuestion &question, const Problem &problem, const Schedule &chosen,
            const std::string &layer) {
  auto runs = [&](const std::string &op) {
    if (!isOfLayer(op, layer))
      return false;
    for (size_t m = 0; m < problem.mixers.size(); ++m)
      if (problem.path(problem.mixers[m]) == op)
        return question.way == chunkWordsOf(problem.mixers[m].candidates[chosen.candidates[m]]);
    return true;
  };
  return std::any_of(question.ops.begin(), question.ops.end(), runs);
}

absl::StatusOr<Story> tell(const Problem &problem, const Schedule &chosen, const std::string &layer,
                           const StepReport &report) {
  std::string assembly = report.isForGpu() ? assemblerText(problem.assembler) : "";
  Story story{layer, report.device, assembly, report.predicted, report.memoryBytes(), problem.budgetBytes, {}, {}, {}};
  const Prediction step = predict(problem, chosen);
  for (size_t m = 0; m < problem.mixers.size(); ++m)
    if (isOfLayer(problem.path(problem.mixers[m]), layer))
      story.mixers.push_back(tellMixer(problem, step, chosen, m));
  for (size_t i = 0; i < problem.ops.size(); ++i)
    if (isOfLayer(problem.ops[i].path, layer))
      story.ops.push_back(tellOp(problem, step, chosen, i));
  for (const schedule::TilingQuestion &question : problem.tilings)
    if (runsIn(question, problem, chosen, layer))
      story.tilings.push_back(question);
  if (!story.ops.empty())
    return story;
  std::set<std::string> layers;
  for (const schedule::Op &op : problem.ops)
    layers.insert(op.path.substr(0, op.path.rfind('.')));
  return absl::InvalidArgumentError(
      fmt::format("no op of the step is of the layer '{}'; there are {}", layer, formatLayers(layers)));
}

std::string signedSeconds(double seconds) {
  return seconds == 0 ? "-" : fmt::format("{}{}", seconds < 0 ? '-' : '+', formatSeconds(std::abs(seconds)));
}

std::string signedMib(int64_t bytes) {
  return bytes == 0 ? "-" : fmt::format("{:+.1f}", static_cast<double>(bytes) / (1 << 20));
}

Table mixerTable(const MixerStory &story, size_t most) {
  Table table{{{"", true},
               {"chunk C"},
               {"save every m"},
               {"kernel", true},
               {"forward"},
               {"backward"},
               {"states saved MiB"},
               {"scratch MiB"},
               {"step"},
               {"peak MiB"}},
              {}};
  for (size_t r = 0; r < std::min(most, story.rivals.size()); ++r) {
    const Rival &rival = story.rivals[r];
    const MixerCandidate &c = rival.candidate;
    table.rows.push_back({rival.chosen ? "chosen" : "", fmt::format("{}", c.chunk), fmt::format("{}", c.saveEvery),
                          kernelText(c), formatSeconds(c.forwardSeconds), formatSeconds(c.backwardSeconds),
                          fmt::format("{:.2f}", static_cast<double>(c.savedBytes) / (1 << 20)),
                          fmt::format("{:.2f}", static_cast<double>(c.scratchBytes) / (1 << 20)),
                          signedSeconds(rival.change.seconds), signedMib(rival.change.peakBytes)});
  }
  return table;
}

Table opTable(const Story &story) {
  Table table{
      {{"op", true}, {"decided", true}, {"MiB for the backward"}, {"to re-make"}, {"otherwise: step"}, {"peak MiB"}},
      {}};
  for (const OpStory &op : story.ops) {
    std::string decided = !op.isNeeded ? "free: not read again" : op.recompute ? "made again" : "kept";
    table.rows.push_back({op.path, decided, formatMib(op.bytes), formatSeconds(op.recomputeSeconds),
                          op.isNeeded ? signedSeconds(op.otherwise.seconds) : "-",
                          op.isNeeded ? signedMib(op.otherwise.peakBytes) : "-"});
  }
  return table;
}

std::string headline(const Story &story) {
  return fmt::format("step predicted {} on {}, peak {} MiB{}", formatSeconds(story.stepSeconds), story.device,
                     formatMib(story.peakBytes),
                     story.budgetBytes ? fmt::format(" of a budget of {} MiB", formatMib(story.budgetBytes)) : "") +
         (story.assembly.empty() ? "" : "; kernels: " + story.assembly);
}

/// One line for each refused way; empty when there is none.
std::string refusedText(const MixerStory &story) {
  std::string text;
  for (const schedule::RefusedWay &way : story.refused)
    text += fmt::format("refused: {}: {}\n", wordsOf(way), way.why);
  return text;
}

constexpr size_t rivalsOfText = 9, rivalsOfTiles = 4;

std::string explainText(const Story &story) {
  std::string out = fmt::format("{}: {}\n", story.layer, headline(story));
  for (const MixerStory &mixer : story.mixers) {
    out += fmt::format("\n{}: chosen, and the fastest rivals of {}\n{}", mixer.path, mixer.rivals.size() - 1,
                       printText(mixerTable(mixer, rivalsOfText))) +
           refusedText(mixer);
  }
  for (const schedule::TilingQuestion &question : story.tilings)
    out += fmt::format("\n{}: {}\n{}", shortName(question.kernel), tilingTitle(question),
                       printText(tilingTable(question, rivalsOfTiles))) +
           refusedTilings(question);
  return out + "\n" + printText(opTable(story));
}

std::string explainHtml(const Story &story) {
  std::string body = "<p>" + escapeHtml(headline(story)) + "</p>\n";
  for (const MixerStory &mixer : story.mixers)
    body += fmt::format("<h2>{}</h2>\n<div class=\"wide\">{}</div>\n<pre>{}</pre>\n", escapeHtml(mixer.path),
                        printHtml(mixerTable(mixer, mixer.rivals.size())), escapeHtml(refusedText(mixer)));
  for (const schedule::TilingQuestion &question : story.tilings)
    body += fmt::format("<h2>{}: {}</h2>\n<div class=\"wide\">{}</div>\n<pre>{}</pre>\n",
                        escapeHtml(shortName(question.kernel)), tilingTitle(question),
                        printHtml(tilingTable(question, question.candidates.size())),
                        escapeHtml(refusedTilings(question)));
  return page("Why " + story.layer + " runs as it does", body + "<h2>Ops</h2>\n" + printHtml(opTable(story)));
}

ordered_json changeJson(const Change &change) {
  return {{"step_seconds", change.seconds}, {"peak_bytes", change.peakBytes}};
}

std::string explainJson(const Story &story) {
  ordered_json json = {{"layer", story.layer},
                       {"device", story.device},
                       {"predicted_seconds", story.stepSeconds},
                       {"peak_bytes", story.peakBytes},
                       {"mixers", ordered_json::array()},
                       {"ops", ordered_json::array()},
                       {"tilings", ordered_json::array()}};
  for (const schedule::TilingQuestion &question : story.tilings)
    json["tilings"].push_back(tilingJson(question));
  for (const MixerStory &mixer : story.mixers) {
    ordered_json rivals = ordered_json::array();
    for (const Rival &rival : mixer.rivals)
      rivals.push_back({{"chosen", rival.chosen},
                        {"chunk", rival.candidate.chunk},
                        {"save_every", rival.candidate.saveEvery},
                        {"two_pass", rival.candidate.twoPass},
                        {"fused", rival.candidate.fused},
                        {"tile", rival.candidate.tile},
                        {"forward_seconds", rival.candidate.forwardSeconds},
                        {"backward_seconds", rival.candidate.backwardSeconds},
                        {"saved_bytes", rival.candidate.savedBytes},
                        {"scratch_bytes", rival.candidate.scratchBytes},
                        {"change", changeJson(rival.change)}});
    ordered_json refused = ordered_json::array();
    for (const schedule::RefusedWay &way : mixer.refused)
      refused.push_back({{"way", wordsOf(way)}, {"why", way.why}});
    json["mixers"].push_back({{"path", mixer.path}, {"candidates", rivals}, {"refused", refused}});
  }
  for (const OpStory &op : story.ops)
    json["ops"].push_back({{"path", op.path},
                           {"recompute", op.recompute},
                           {"needed", op.isNeeded},
                           {"bytes", op.bytes},
                           {"recompute_seconds", op.recomputeSeconds},
                           {"otherwise", changeJson(op.otherwise)}});
  return json.dump(2) + "\n";
}

} // namespace

absl::StatusOr<std::string> explain(Workbench &bench, const std::string &layer, const std::string &model,
                                    const Request &request) {
  ORIEL_ASSIGN_OR_RETURN(Compiled compiled, bench.compile(model, request.model));
  if (!compiled.problem)
    return absl::InvalidArgumentError(model +
                                      " is a package, which does not have the rivals of its schedule: give its model");
  const plan::EntryPoint *entry = compiled.package->findEntry(compiled.problem->name);
  if (!entry)
    return absl::InternalError("the package has no entry '" + compiled.problem->name + "'");
  ORIEL_ASSIGN_OR_RETURN(Schedule chosen, scheduleOf(*compiled.problem, *entry));
  StepReport report = makeReport(*compiled.package, bench.costsOf(*compiled.package), nullptr);
  ORIEL_ASSIGN_OR_RETURN(Story story, tell(*compiled.problem, chosen, layer, report));
  return request.format == Format::Json   ? explainJson(story)
         : request.format == Format::Html ? explainHtml(story)
                                          : explainText(story);
}

} // namespace oriel::tune
