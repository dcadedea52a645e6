// oriel generate: text from a checkpoint, printed as it comes.
#include "runtime/base/Counts.h"
#include "runtime/base/Status.h"
#include "trainer/commands/Commands.h"
#include "trainer/commands/OpenModel.h"
#include "trainer/commands/Ranks.h"
#include "trainer/generate/Generate.h"

#include "absl/strings/match.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace oriel::trainer {
namespace {

struct Options {
  std::string checkpoint, prompt = "\n";
  int64_t tokens = 200, context = 0, threads = 0;
  SamplingOptions sampling;
};

// Decodes what has come so far and prints what is new; a piece that still may change waits for the next token.
class Printer {
public:
  explicit Printer(const Tokenizer &tokenizer) : tokenizer_(tokenizer) {}
  void add(int32_t id) {
    ids_.push_back(id);
    std::string text = tokenizer_.decode(ids_);
    if (!absl::StartsWith(text, printed_))
      return;
    fmt::print("{}", text.substr(printed_.size()));
    std::fflush(stdout);
    printed_ = std::move(text);
  }

private:
  const Tokenizer &tokenizer_;
  std::vector<int32_t> ids_;
  std::string printed_;
};

absl::Status run(const Options &options) {
  ORIEL_ASSIGN_OR_RETURN(auto communicator, startAlone("generate"));
  ORIEL_ASSIGN_OR_RETURN(OpenedModel model,
                         openModel(options.checkpoint, options.context, options.threads, *communicator));
  std::vector<int32_t> prompt = model.tokenizer->encode(options.prompt);
  if (prompt.empty())
    prompt.push_back(model.tokenizer->endOfDocument());
  fmt::print("{}", options.prompt);
  Printer printer(*model.tokenizer);
  absl::Status status = generate(*model.state, prompt, options.tokens, options.sampling, model.tokenizer->vocabSize(),
                                 model.tokenizer->endOfDocument(), [&](int32_t id) { printer.add(id); })
                            .status();
  fmt::print("\n");
  return status;
}

} // namespace

void addGenerateCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("generate", "continue a prompt with a trained model");
  command->add_option("checkpoint", options->checkpoint, "a checkpoint, a folder of them, or the job file of a run")
      ->required();
  command->add_option("--prompt", options->prompt, "text to continue");
  command->add_option("--tokens", options->tokens, "tokens to add")->check(runtime::countOrZero());
  command->add_option("--temperature", options->sampling.temperature, "0: the likeliest token always")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->add_option("--top-k", options->sampling.topK, "draw from the k likeliest only; 0: from all")
      ->check(runtime::countOrZero());
  command->add_option("--top-p", options->sampling.topP, "draw from the likeliest with this probability together")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", options->sampling.seed, "the same seed gives the same text")->capture_default_str();
  command->add_option("--context", options->context, "tokens the model looks back at; 0: as in training")
      ->check(runtime::countOrZero());
  command->add_option("--threads", options->threads, "0: all cores")->check(runtime::countOrZero());
  command->callback([action, options] { *action = [options] { return run(*options); }; });
}

} // namespace oriel::trainer
