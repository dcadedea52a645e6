// Bytes as tokens. Also the factory, since this is the tokenizer that needs no file.
#include "trainer/tokenizer/ByteTokenizer.h"
#include "trainer/tokenizer/SentencePieceTokenizer.h"
#include "trainer/tokenizer/huggingface/HuggingFaceTokenizer.h"

#include "runtime/base/Files.h"

#include "fmt/format.h"

#include <filesystem>

namespace oriel::trainer {

std::vector<int32_t> ByteTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids(text.size());
  for (size_t i = 0; i < text.size(); ++i)
    ids[i] = static_cast<unsigned char>(text[i]);
  return ids;
}

std::string ByteTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  text.reserve(ids.size());
  for (int32_t id : ids)
    if (id >= 0 && id < 256)
      text += static_cast<char>(id);
  return text;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &spec) {
  if (spec == "byte")
    return std::make_unique<ByteTokenizer>();
  if (spec.ends_with(".model"))
    return loadSentencePiece(spec);
  if (spec.ends_with(".json"))
    return loadHuggingFace(spec);
  std::error_code ignored;
  if (const std::string inside = spec + "/tokenizer.json"; std::filesystem::exists(inside, ignored))
    return loadHuggingFace(inside);
  return absl::InvalidArgumentError(fmt::format("unknown tokenizer '{}'; write \"byte\", or the path of a "
                                                "sentencepiece .model file or of a tokenizer.json or its folder",
                                                spec));
}

std::vector<TokenizerFile> tokenizerFiles(const std::string &spec) {
  if (spec == "byte")
    return {};
  if (spec.ends_with(".model"))
    return {{spec, "tokenizer.model"}};
  const std::string json = spec.ends_with(".json") ? spec : spec + "/tokenizer.json";
  const std::string config = runtime::folderOf(json) + "/tokenizer_config.json";
  std::vector<TokenizerFile> files = {{json, "tokenizer.json"}};
  std::error_code ignored;
  if (std::filesystem::exists(config, ignored))
    files.push_back({config, "tokenizer_config.json"});
  return files;
}

} // namespace oriel::trainer
