// The command lines of `oriel data`. Only words and printing; the work is in TokenizeCorpus, Tokenizer and TokenFile.
#include "trainer/data/DataCommands.h"

#include "trainer/data/ImportShards.h"
#include "trainer/data/TokenFile.h"
#include "trainer/data/TokenizeCorpus.h"
#include "trainer/tokenizer/Tokenizer.h"

#include "runtime/base/Counts.h"
#include "runtime/base/OneOf.h"
#include "runtime/base/Status.h"

#include "CLI/CLI.hpp"
#include "fmt/format.h"

#include <algorithm>
#include <memory>

namespace oriel::trainer {
namespace {

struct TokenizeCommand {
  CorpusOptions corpus;
  std::string output, tokenizer = "byte";
};

void printSet(const char *label, const TokenSet &set) {
  fmt::print("{:<10} {}.bin: {} documents, {} tokens\n", label, set.prefix, set.documents, set.tokens);
}

absl::Status runTokenize(const TokenizeCommand &command) {
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, makeTokenizer(command.tokenizer));
  ORIEL_ASSIGN_OR_RETURN(TokenizeResult result, tokenizeCorpus(command.corpus, *tokenizer, command.output));
  printSet("train", result.train);
  if (!result.validation.prefix.empty())
    printSet("validation", result.validation);
  return absl::OkStatus();
}

void addTokenize(CLI::App &data, std::function<absl::Status()> *action) {
  auto command = std::make_shared<TokenizeCommand>();
  CLI::App *app = data.add_subcommand("tokenize", "Turn text or JSONL files into token files (Megatron .bin and .idx)");
  app->add_option("INPUT", command->corpus.inputs, "Text or JSONL files")->required();
  app->add_option("-o,--output", command->output, "Prefix of the files to write")->required();
  app->add_option("--tokenizer", command->tokenizer, "byte, a sentencepiece .model file, or a tokenizer.json")->capture_default_str();
  app->add_option("--documents", command->corpus.documents, "What one document is")
      ->type_name("TEXT")
      ->transform(runtime::oneOf<DocumentKind>(
          {{"file", DocumentKind::File}, {"paragraph", DocumentKind::Paragraph}, {"jsonl", DocumentKind::Jsonl}}))
      ->default_str("file");
  app->add_option("--field", command->corpus.jsonField, "Text field of a JSONL record")->capture_default_str();
  app->add_option("--validation-every", command->corpus.validationEvery,
                  "Every Nth block of the texts goes to PREFIX-val, the rest to PREFIX-train; 0: no split")
      ->check(runtime::countOrZero())
      ->capture_default_str();
  app->add_option("--block-bytes", command->corpus.blockBytes, "Size of a block of the split")
      ->check(runtime::positiveCount())
      ->capture_default_str();
  app->callback([command, action] { *action = [command] { return runTokenize(*command); }; });
}

struct ImportCommand {
  ImportOptions options;
  std::string output;
};

void addImport(CLI::App &data, std::function<absl::Status()> *action) {
  auto command = std::make_shared<ImportCommand>();
  ImportOptions &options = command->options;
  CLI::App *app = data.add_subcommand("import", "Make a token file of shards in the format of llm.c");
  app->add_option("SHARD", options.shards, "Shards, in the order of the text")->required();
  app->add_option("-o,--output", command->output, "Prefix of the files to write")->required();
  app->add_option("--separator", options.separator, "Id between documents (GPT-2: 50256, Llama 3: 128000)");
  app->add_option("--vocab", options.vocab, "Number of ids (GPT-2: 50257, Llama 3: 128256)")
      ->check(runtime::positiveCount());
  app->callback([command, action] {
    *action = [command]() -> absl::Status {
      ORIEL_ASSIGN_OR_RETURN(TokenSet set, importShards(command->options, command->output));
      printSet("train", set);
      return absl::OkStatus();
    };
  });
}

void addTrainTokenizer(CLI::App &data, std::function<absl::Status()> *action) {
  auto training = std::make_shared<TokenizerTraining>();
  CLI::App *app = data.add_subcommand("train-tokenizer", "Learn a sentencepiece vocabulary from text files");
  app->add_option("INPUT", training->inputs, "Text files")->required();
  app->add_option("-o,--output", training->modelPath, "The .model file to write")->required();
  app->add_option("--vocab", training->vocabSize, "Number of ids")->capture_default_str();
  app->add_option("--kind", training->kind, "bpe or unigram")->capture_default_str();
  app->callback([training, action] {
    *action = [training]() -> absl::Status {
      ORIEL_RETURN_IF_ERROR(trainTokenizer(*training));
      fmt::print("{}: {} ids\n", training->modelPath, training->vocabSize);
      return absl::OkStatus();
    };
  });
}

struct InspectCommand {
  std::string prefix, tokenizer = "byte";
  int64_t document = 0, shownTokens = 200;
};

absl::Status runInspect(const InspectCommand &command) {
  ORIEL_ASSIGN_OR_RETURN(TokenFile file, TokenFile::open(command.prefix));
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, makeTokenizer(command.tokenizer));
  const int64_t documents = file.documentCount();
  int64_t shortest = file.tokenCount(), longest = 0;
  for (int64_t d = 0; d < documents; ++d) {
    const int64_t length = file.documentStart(d + 1) - file.documentStart(d);
    shortest = std::min(shortest, length);
    longest = std::max(longest, length);
  }
  fmt::print("{}: {} tokens ({}), {} documents of {} to {} tokens\n", file.binPath(), file.tokenCount(),
             file.type() == TokenType::U16 ? "u16" : "i32", documents, shortest, longest);
  if (command.document < 0 || command.document >= documents)
    return absl::InvalidArgumentError(fmt::format("{}: there is no document {}", command.prefix, command.document));
  const int64_t begin = file.documentStart(command.document), end = file.documentStart(command.document + 1);
  std::vector<int32_t> ids(static_cast<size_t>(std::min(command.shownTokens, end - begin)));
  if (absl::Status status = file.read(begin, ids, tokenizer->vocabSize()); !status.ok())
    return absl::Status(status.code(), fmt::format("{} (--tokenizer is {})", std::string(status.message()), command.tokenizer));
  fmt::print("document {} (tokens {} to {}) begins:\n{}\n", command.document, begin, end, tokenizer->decode(ids));
  return absl::OkStatus();
}

void addInspect(CLI::App &data, std::function<absl::Status()> *action) {
  auto command = std::make_shared<InspectCommand>();
  CLI::App *app = data.add_subcommand("inspect", "Check token files and show a document");
  app->add_option("PREFIX", command->prefix, "Prefix of .bin and .idx")->required();
  app->add_option("--tokenizer", command->tokenizer, "byte, a sentencepiece .model file, or a tokenizer.json")->capture_default_str();
  app->add_option("--document", command->document, "Which document to show")->capture_default_str();
  app->add_option("--tokens", command->shownTokens, "How many of its tokens")
      ->check(runtime::countOrZero())
      ->capture_default_str();
  app->callback([command, action] { *action = [command] { return runInspect(*command); }; });
}

} // namespace

void addDataCommands(CLI::App &app, std::function<absl::Status()> *action) {
  CLI::App *data = app.add_subcommand("data", "Prepare token files and tokenizers");
  data->require_subcommand(1);
  addTokenize(*data, action);
  addImport(*data, action);
  addTrainTokenizer(*data, action);
  addInspect(*data, action);
}

} // namespace oriel::trainer
