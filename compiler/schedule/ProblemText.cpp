#include "compiler/schedule/ProblemText.h"
#include "compiler/schedule/TextReader.h"

#include <charconv>
#include <map>

namespace oriel::schedule {
namespace {

/// The shortest text that reads back as the same number.
std::string text(double number) {
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  return {buffer, end};
}
std::string text(int64_t number) { return std::to_string(number); }

std::string printOp(const Problem &problem, const Op &op) {
  std::string out = "op " + op.path + " seconds " + text(op.recomputeSeconds) + " scratch " + text(op.scratchBytes) +
                    " made " + text(op.made);
  if (op.given != Given::Nothing)
    out += op.given == Given::Save ? " given save" : " given recompute";
  out += op.inputs.empty() ? "" : " reads";
  for (Input input : op.inputs) {
    out.append(" ").append(problem.ops[input.op].path);
    if (input.result > 0)
      out.append(":").append(std::to_string(input.result));
  }
  for (const Result &result : op.results) {
    out += "\n  result bytes " + text(result.bytes) + " used " + text(result.lastForward) + " backward ";
    out += result.backward.empty() ? "none" : text(result.backward.first) + " " + text(result.backward.last);
  }
  return out + "\n";
}

std::string printWay(const MixerWay &way) {
  return " chunk " + text(way.chunk) + " save_every " + text(way.saveEvery) +
         (way.twoPass ? " two_pass" : " sequential") + (way.fused ? " fused" : " separate") + " tile " + text(way.tile);
}

std::string printCandidate(const MixerCandidate &c) {
  return "  candidate" + printWay(c) + " forward " + text(c.forwardSeconds) + " backward " + text(c.backwardSeconds) + " saved " +
         text(c.savedBytes) + " scratch " + text(c.scratchBytes) + "\n";
}

std::string printTiling(const TilingCandidate &c) {
  const Estimate &time = c.time;
  return "  tiling " + wordsOf(c) + (c.assembled ? " assembled" : " planned") + " registers " + text(c.registers) +
         " shared " + text(c.sharedBytes) + " seconds " + text(time.seconds) + " arithmetic " +
         text(time.arithmeticSeconds) + " memory " + text(time.memorySeconds) + " l2 " + text(time.cacheSeconds) +
         " latency " + text(time.latencySeconds) + " bound " + std::string(boundName(time.bound)) + "\n";
}

std::string printQuestion(const TilingQuestion &question) {
  std::string out = "kernel " + question.kernel + (question.isGiven ? " given" : "") + (question.way.empty() ? "" : " by " + question.way) + " of";
  for (const std::string &op : question.ops)
    out += " " + op;
  out += "\n";
  for (const TilingCandidate &candidate : question.candidates)
    out += printTiling(candidate);
  for (const RefusedTiling &refused : question.refused)
    out += "  refused_tiling " + wordsOf(refused) + " why " + refused.why + "\n";
  return out;
}

class ProblemReader {
public:
  ProblemReader(std::string_view text, const std::string &name) : in_(text, name) {}

  std::optional<Problem> read(std::string &error) {
    while (in_.nextLine()) {
      readLine();
      in_.expectEnd();
    }
    error = in_.error();
    if (!in_.failed())
      error = problem_.check();
    if (!error.empty())
      return std::nullopt;
    return std::move(problem_);
  }

private:
  void readLine() {
    enum { ProblemLine, Device, Assembler, Steps, Budget, Fixed, OpLine, ResultLine, MixerLine, Candidate, Refused, BlockLine,
           KernelLine, TilingLine, RefusedTilingLine };
    switch (in_.readChoice({"problem", "device", "assembler", "steps", "budget", "fixed", "op", "result", "mixer",
                            "candidate", "refused", "block", "kernel", "tiling", "refused_tiling"})) {
    case ProblemLine:
      problem_.name = in_.readName("the name of the problem");
      break;
    case Device:
      problem_.device = in_.readName("the name of the device");
      break;
    case Assembler:
      problem_.assembler = in_.readName("the name of the assembler");
      break;
    case Steps:
      problem_.steps = in_.readInteger("the number of steps");
      break;
    case Budget:
      problem_.budgetBytes = in_.accept("none") ? 0 : in_.readInteger("bytes or 'none'");
      break;
    case Fixed:
      problem_.fixedBytes = field("bytes");
      in_.expect("seconds");
      problem_.fixedSeconds = in_.readNumber("seconds");
      break;
    case OpLine:
      readOp();
      break;
    case ResultLine:
      readResult();
      break;
    case MixerLine:
      readMixer();
      break;
    case Candidate:
      readCandidate();
      break;
    case Refused:
      readRefused();
      break;
    case KernelLine:
      readKernel();
      break;
    case TilingLine:
      readTilingCandidate();
      break;
    case RefusedTilingLine:
      readRefusedTiling();
      break;
    case BlockLine: {
      std::string name = in_.readName("the name of the block");
      int64_t bytes = field("bytes"), from = field("from"), to = field("to");
      problem_.blocks.push_back({name, bytes, {from, to}});
      break;
    }
    }
  }

  int64_t field(std::string_view word) {
    in_.expect(word);
    return in_.readInteger(word);
  }

  double time(std::string_view word) {
    in_.expect(word);
    return in_.readNumber(word);
  }

  size_t readOpName() {
    std::string path = in_.readName("the path of an op");
    auto found = ops_.find(path);
    if (found == ops_.end())
      in_.fail("there is no op '" + path + "' above this line");
    return found == ops_.end() ? 0 : found->second;
  }

  /// name or name:result
  Input readInput() {
    std::string word = in_.readName("the path of an op");
    size_t colon = word.rfind(':');
    auto found = ops_.find(word.substr(0, colon));
    Input input{found == ops_.end() ? 0 : found->second, 0};
    bool wellFormed = found != ops_.end();
    if (colon != std::string::npos) {
      const char *end = word.data() + word.size();
      auto [stop, error] = std::from_chars(word.data() + colon + 1, end, input.result);
      wellFormed = wellFormed && error == std::errc() && stop == end;
    }
    if (!wellFormed || input.result >= problem_.ops[input.op].results.size())
      in_.fail("there is no result '" + word + "' above this line");
    return input;
  }

  void readOp() {
    Op op;
    op.path = in_.readName("the path of the op");
    if (ops_.contains(op.path))
      in_.fail("there is an op '" + op.path + "' already");
    op.recomputeSeconds = time("seconds");
    op.scratchBytes = field("scratch");
    op.made = field("made");
    if (in_.accept("given"))
      op.given = in_.readChoice({"save", "recompute"}) == 0 ? Given::Save : Given::Recompute;
    if (in_.accept("reads"))
      do {
        op.inputs.push_back(readInput());
      } while (!in_.failed() && !in_.atEnd());
    ops_.emplace(op.path, problem_.ops.size());
    problem_.ops.push_back(std::move(op));
  }

  void readResult() {
    if (problem_.ops.empty())
      return in_.fail("a result stands below the line of its op");
    Result result;
    result.bytes = field("bytes");
    result.lastForward = field("used");
    in_.expect("backward");
    if (!in_.accept("none")) {
      result.backward.first = in_.readInteger("the first backward use or 'none'");
      result.backward.last = in_.readInteger("the last backward use");
    }
    problem_.ops.back().results.push_back(result);
  }

  void readMixer() {
    Mixer mixer;
    mixer.op = readOpName();
    mixer.gradientStep = field("gradient");
    problem_.mixers.push_back(std::move(mixer));
  }

  MixerWay readWay() {
    MixerWay way;
    way.chunk = field("chunk");
    way.saveEvery = field("save_every");
    way.twoPass = in_.readChoice({"sequential", "two_pass"}) == 1;
    way.fused = in_.readChoice({"separate", "fused"}) == 1;
    way.tile = field("tile");
    return way;
  }

  void readKernel() {
    TilingQuestion question;
    question.kernel = in_.readName("the symbol of the kernel");
    question.isGiven = in_.accept("given");
    if (in_.accept("by"))
      while (!in_.failed() && !in_.accept("of"))
        question.way.append(question.way.empty() ? "" : " ").append(in_.readName("the words of a way"));
    else
      in_.expect("of");
    while (!in_.failed() && !in_.atEnd())
      question.ops.push_back(in_.readName("the path of an op"));
    problem_.tilings.push_back(std::move(question));
  }

  Tiling readTiling() {
    if (problem_.tilings.empty())
      in_.fail("a tiling stands below the line of its kernel");
    Tiling tiling;
    tiling.rows = field("rows");
    tiling.columns = field("columns");
    tiling.warps = field("warps");
    tiling.stages = field("stages");
    return tiling;
  }

  void readTilingCandidate() {
    TilingCandidate candidate{readTiling()};
    candidate.assembled = in_.readChoice({"planned", "assembled"}) == 1;
    candidate.registers = field("registers");
    candidate.sharedBytes = field("shared");
    candidate.time.seconds = time("seconds");
    candidate.time.arithmeticSeconds = time("arithmetic");
    candidate.time.memorySeconds = time("memory");
    candidate.time.cacheSeconds = time("l2");
    candidate.time.latencySeconds = time("latency");
    in_.expect("bound");
    candidate.time.bound = static_cast<Bound>(in_.readChoice({"arithmetic", "memory", "L2", "latency", "launch", "measured"}));
    if (!in_.failed())
      problem_.tilings.back().candidates.push_back(candidate);
  }

  std::string readWords() {
    std::string words;
    while (!in_.failed() && !in_.atEnd())
      words.append(words.empty() ? "" : " ").append(in_.readName("words"));
    return words;
  }

  void readRefusedTiling() {
    RefusedTiling refused{readTiling(), ""};
    in_.expect("why");
    refused.why = readWords();
    if (!in_.failed())
      problem_.tilings.back().refused.push_back(refused);
  }

  void readRefused() {
    if (problem_.mixers.empty())
      return in_.fail("a refused way stands below the line of its mixer");
    RefusedWay refused{readWay(), ""};
    in_.expect("why");
    refused.why = readWords();
    problem_.mixers.back().refused.push_back(refused);
  }

  void readCandidate() {
    if (problem_.mixers.empty())
      return in_.fail("a candidate stands below the line of its mixer");
    MixerCandidate candidate{readWay()};
    candidate.forwardSeconds = time("forward");
    candidate.backwardSeconds = time("backward");
    candidate.savedBytes = field("saved");
    candidate.scratchBytes = field("scratch");
    problem_.mixers.back().candidates.push_back(candidate);
  }

  TextReader in_;
  Problem problem_;
  std::map<std::string, size_t> ops_;
};

} // namespace

std::string printProblem(const Problem &problem) {
  std::string out = "# schedule.problem: bytes, seconds, steps\n";
  if (!problem.name.empty())
    out += "problem " + problem.name + "\n";
  if (!problem.device.empty())
    out += "device " + problem.device + "\n";
  if (!problem.assembler.empty())
    out += "assembler " + problem.assembler + "\n";
  out += "steps " + text(problem.steps) + "\n";
  out += "budget " + (problem.budgetBytes ? text(problem.budgetBytes) : std::string("none")) + "\n";
  out += "fixed bytes " + text(problem.fixedBytes) + " seconds " + text(problem.fixedSeconds) + "\n";
  for (const Op &op : problem.ops)
    out += printOp(problem, op);
  for (const Mixer &mixer : problem.mixers) {
    out += "mixer " + problem.path(mixer) + " gradient " + text(mixer.gradientStep) + "\n";
    for (const MixerCandidate &candidate : mixer.candidates)
      out += printCandidate(candidate);
    for (const RefusedWay &refused : mixer.refused)
      out += "  refused" + printWay(refused) + " why " + refused.why + "\n";
  }
  for (const Block &block : problem.blocks)
    out += "block " + block.name + " bytes " + text(block.bytes) + " from " + text(block.life.first) + " to " +
           text(block.life.last) + "\n";
  for (const TilingQuestion &question : problem.tilings)
    out += printQuestion(question);
  return out;
}

std::optional<Problem> parseProblem(std::string_view text, const std::string &name, std::string &error) {
  return ProblemReader(text, name).read(error);
}

} // namespace oriel::schedule
