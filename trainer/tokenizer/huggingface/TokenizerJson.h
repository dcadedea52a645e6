// A tokenizer.json of Hugging Face `tokenizers`, read and checked: what it asks for, in plain values.
//
// Supported are BPE models over bytes (GPT-2, Llama 3, Qwen, DeepSeek …) and over characters with a token for every
// byte (Llama 2, Mistral). Whatever else a file asks for is an error that names the field. `post_processor`,
// `truncation` and `padding` are left aside: they concern what is done with the ids of a text, not the ids.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace oriel::trainer::huggingface {

/// A token that is found in the text before anything else is done with it.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;                       // decodes to nothing
  bool normalized = false;                    // is looked for in the normalized text
  bool stripLeft = false, stripRight = false; // takes the white space on that side with it
};

struct NormalizerStep {
  enum class Kind { Nfc, Nfd, Nfkc, Nfkd, Prepend, Replace } kind;
  std::string from, to; // Replace: every `from` by `to`; Prepend: `to`
};

struct TokenizerSpec {
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<std::string> wordPatterns; // one after the other: what matches, and what lies between, are words
  bool byteLevel = false;                // else the model works on characters
  bool prefixSpace = false;              // a text that does not begin with a space gets one
  bool ignoreMerges = false;             // a word that is a token is that token, whatever the merges say
  std::vector<std::pair<std::string, int32_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;              // in the order of their ranks
  std::vector<std::pair<std::string, std::string>> decoderReplacements; // in each token: every first by second
  size_t decoderStrip = 0;                                              // spaces taken from the beginning of a text
  std::string endOfDocument;                                            // content of the token
};

/// NotFound or InvalidArgument, naming file and field. The end of a document is the `eos_token` of the
/// tokenizer_config.json in the same folder or, without one, the first added token with a well-known name.
absl::StatusOr<TokenizerSpec> readTokenizerJson(const std::string &path);

} // namespace oriel::trainer::huggingface
