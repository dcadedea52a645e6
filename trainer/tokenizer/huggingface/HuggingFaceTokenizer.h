// A tokenizer.json of Hugging Face `tokenizers` as a Tokenizer: GPT-2's, Llama's, Qwen's, DeepSeek's, or one's own.
#pragma once

#include "trainer/tokenizer/Tokenizer.h"

namespace oriel::trainer {

/// NotFound or InvalidArgument, naming file and field: TokenizerJson.h says what is supported. The ids are those of
/// `tokenizers` with add_special_tokens = False. Tokens written out in a text ("<|endoftext|>") are found there;
/// special ones decode to nothing, as do ids that are not in the file.
absl::StatusOr<std::unique_ptr<Tokenizer>> loadHuggingFace(const std::string &path);

} // namespace oriel::trainer
