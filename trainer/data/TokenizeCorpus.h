// Texts to token files: what `oriel data tokenize` does.
#pragma once

#include "trainer/data/Corpus.h"
#include "trainer/tokenizer/Tokenizer.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <string>

namespace oriel::trainer {

struct TokenSet {
  std::string prefix;
  int64_t documents = 0, tokens = 0;
};

struct TokenizeResult {
  TokenSet train, validation; // validation.prefix is empty when there is none
};

/// Writes PREFIX.bin/.idx, or PREFIX-train and PREFIX-val when options.validationEvery > 0; every document is closed by
/// the end-of-document id. On an error no file of the prefix is made or changed.
absl::StatusOr<TokenizeResult> tokenizeCorpus(const CorpusOptions &options, const Tokenizer &tokenizer,
                                              const std::string &prefix);

} // namespace oriel::trainer
