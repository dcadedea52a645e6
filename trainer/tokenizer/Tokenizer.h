// Text to token ids and back: byte level, a sentencepiece model, or a tokenizer.json of Hugging Face. Interface only;
// see ByteTokenizer.cpp, SentencePieceTokenizer.cpp and huggingface/HuggingFaceTokenizer.h. Thread safe after creation.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::trainer {

class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// The ids of a text; no begin or end token is added. Byte level: one id per byte, any bytes are text.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// The text of ids; ids outside the vocabulary, and the end of a document, give nothing.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  virtual int32_t vocabSize() const = 0;
  /// The id that closes every document in token files. Byte level: 256.
  virtual int32_t endOfDocument() const = 0;
  /// "byte" or the path it was loaded from.
  virtual std::string name() const = 0;
};

/// "byte", or the path of a sentencepiece .model file or of a tokenizer.json (any name that ends in .json) or of the
/// folder that holds one.
absl::StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &spec);

/// The files that makeTokenizer(spec) reads, and the names under which the libraries of Hugging Face look for them in
/// the folder of a model: tokenizer.model; or tokenizer.json and, where there is one, tokenizer_config.json. None for
/// "byte".
struct TokenizerFile {
  std::string path, sharedName;
};
std::vector<TokenizerFile> tokenizerFiles(const std::string &spec);

/// Trains a sentencepiece unigram model with byte fallback on text files and writes `modelPath` (ends in ".model").
struct TokenizerTraining {
  std::vector<std::string> inputs;
  std::string modelPath;
  int32_t vocabSize = 4096;
  std::string kind = "bpe"; // or "unigram"
};
absl::Status trainTokenizer(const TokenizerTraining &training);

} // namespace oriel::trainer
