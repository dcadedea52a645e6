// One pass over the corpus into one or two writers.
#include "trainer/data/TokenizeCorpus.h"
#include "trainer/data/TokenFile.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <optional>

namespace oriel::trainer {
namespace {

absl::Status finishSet(TokenFileWriter &writer, TokenSet &set) {
  set.documents = writer.documentCount();
  set.tokens = writer.tokenCount();
  if (set.tokens == 0)
    return absl::InvalidArgumentError(
        fmt::format("{} would be empty: give more text, or smaller blocks for the split (--block-bytes)", set.prefix));
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<TokenizeResult> tokenizeCorpus(const CorpusOptions &options, const Tokenizer &tokenizer,
                                              const std::string &prefix) {
  TokenizeResult result;
  const bool split = options.validationEvery > 0;
  result.train.prefix = split ? prefix + "-train" : prefix;
  ORIEL_ASSIGN_OR_RETURN(TokenFileWriter train, TokenFileWriter::create(result.train.prefix, tokenizer.vocabSize()));
  std::optional<TokenFileWriter> validation;
  if (split) {
    result.validation.prefix = prefix + "-val";
    ORIEL_ASSIGN_OR_RETURN(TokenFileWriter writer,
                           TokenFileWriter::create(result.validation.prefix, tokenizer.vocabSize()));
    validation.emplace(std::move(writer));
  }
  ORIEL_RETURN_IF_ERROR(readCorpus(options, [&](std::string_view text, bool isValidation) {
    std::vector<int32_t> ids = tokenizer.encode(text);
    ids.push_back(tokenizer.endOfDocument());
    return (isValidation ? *validation : train).addDocument(ids);
  }));
  ORIEL_RETURN_IF_ERROR(finishSet(train, result.train));
  if (split) {
    ORIEL_RETURN_IF_ERROR(finishSet(*validation, result.validation));
    ORIEL_RETURN_IF_ERROR(validation->finish());
  }
  ORIEL_RETURN_IF_ERROR(train.finish());
  return result;
}

} // namespace oriel::trainer
