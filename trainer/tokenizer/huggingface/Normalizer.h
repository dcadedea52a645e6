// The text as the model wants it: Unicode normal forms, and the spaces of Llama 2. Invalid bytes stay as they are.
#pragma once

#include "trainer/tokenizer/huggingface/TokenizerJson.h"

#include <span>
#include <string>
#include <string_view>

namespace oriel::trainer::huggingface {

/// Applies the steps in their order. Unicode of the installed utf8proc; what a later Unicode adds stays as it is.
std::string normalize(std::string_view text, std::span<const NormalizerStep> steps);

/// Every `from` (not empty) by `to`, from left to right.
std::string replaceAll(std::string_view text, std::string_view from, std::string_view to);

} // namespace oriel::trainer::huggingface
