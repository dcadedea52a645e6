// One id per byte, and 256 for the end of a document.
#pragma once

#include "trainer/tokenizer/Tokenizer.h"

namespace oriel::trainer {

class ByteTokenizer final : public Tokenizer {
public:
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  int32_t vocabSize() const override { return 257; }
  int32_t endOfDocument() const override { return 256; }
  std::string name() const override { return "byte"; }
};

} // namespace oriel::trainer
