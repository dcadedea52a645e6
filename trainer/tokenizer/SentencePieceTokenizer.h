// A sentencepiece .model file as a Tokenizer.
#pragma once

#include "trainer/tokenizer/Tokenizer.h"

namespace oriel::trainer {

/// NotFound or InvalidArgument, naming the file. The end of a document is the model's </s>; a model without one is
/// refused.
absl::StatusOr<std::unique_ptr<Tokenizer>> loadSentencePiece(const std::string &path);

} // namespace oriel::trainer
