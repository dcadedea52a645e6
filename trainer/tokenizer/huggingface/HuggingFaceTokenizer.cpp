// Puts the parts together: added tokens, normalizer, added tokens of the normalized text, words, merges.
#include "trainer/tokenizer/huggingface/HuggingFaceTokenizer.h"

#include "trainer/tokenizer/huggingface/AddedTokens.h"
#include "trainer/tokenizer/huggingface/BytePairEncoder.h"
#include "trainer/tokenizer/huggingface/Normalizer.h"
#include "trainer/tokenizer/huggingface/PreTokenizer.h"
#include "trainer/tokenizer/huggingface/TokenizerJson.h"
#include "trainer/tokenizer/huggingface/Utf8.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <optional>

namespace oriel::trainer {
namespace huggingface {
namespace {

/// Byte-level vocabularies write every byte as a printable character: those of Latin-1 that are printable as
/// themselves, the others in their order from U+0100. The byte of a character, or -1.
int byteOfCharacter(int32_t codePoint) {
  static const std::vector<int> bytes = [] {
    std::vector<int> table(256, -1);
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      printable ? void(table[static_cast<size_t>(byte)] = byte) : table.push_back(byte);
    }
    return table;
  }();
  return codePoint >= 0 && codePoint < static_cast<int32_t>(bytes.size()) ? bytes[static_cast<size_t>(codePoint)] : -1;
}

/// The bytes that a token of a byte-level vocabulary stands for; nothing when it has a character for no byte.
std::optional<std::string> bytesOf(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const Character character = characterAt(token, at);
    const int byte = byteOfCharacter(character.codePoint);
    if (byte < 0)
      return std::nullopt;
    bytes += static_cast<char>(byte);
    at += character.bytes;
  }
  return bytes;
}

/// The byte that "<0x0A>" stands for, or -1.
int byteOfFallback(std::string_view token) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return -1;
  const size_t high = digits.find(token[3]), low = digits.find(token[4]);
  return high == digits.npos || low == digits.npos ? -1 : static_cast<int>(high * 16 + low);
}

class HuggingFaceTokenizer final : public Tokenizer {
public:
  HuggingFaceTokenizer(const TokenizerSpec &spec, const std::vector<AddedToken> &raw,
                       const std::vector<AddedToken> &normalized, PreTokenizer words, BytePairEncoder encoder,
                       std::string path)
      : normalizer_(spec.normalizer), prefixSpace_(spec.prefixSpace), decoderStrip_(spec.decoderStrip), rawTokens_(raw),
        normalizedTokens_(normalized), words_(std::move(words)), encoder_(std::move(encoder)), path_(std::move(path)) {}

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const AddedTokens::Part &part : rawTokens_.split(text)) {
      if (part.token >= 0)
        ids.push_back(part.token);
      else if (normalizer_.empty())
        encodeNormalized(part.text, ids);
      else
        encodeNormalized(normalize(part.text, normalizer_), ids);
    }
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (int32_t id : ids)
      if (id >= 0 && id < vocabSize())
        text += texts_[static_cast<size_t>(id)];
    const size_t spaces = std::min(text.find_first_not_of(' '), text.size());
    return text.erase(0, std::min(spaces, decoderStrip_));
  }

  int32_t vocabSize() const override { return static_cast<int32_t>(texts_.size()); }
  int32_t endOfDocument() const override { return end_; }
  std::string name() const override { return path_; }

  /// What an id decodes to.
  void setText(int32_t id, std::string text) {
    texts_.resize(std::max(texts_.size(), static_cast<size_t>(id) + 1));
    texts_[static_cast<size_t>(id)] = std::move(text);
  }
  void setEnd(int32_t id) { end_ = id; }

private:
  void encodeNormalized(std::string_view text, std::vector<int32_t> &ids) const {
    for (const AddedTokens::Part &part : normalizedTokens_.split(text)) {
      if (part.token >= 0)
        ids.push_back(part.token);
      else if (prefixSpace_ && part.text.front() != ' ')
        encodeWords(std::string(" ").append(part.text), ids);
      else
        encodeWords(part.text, ids);
    }
  }
  void encodeWords(std::string_view text, std::vector<int32_t> &ids) const {
    words_.forEachWord(text, [&](std::string_view word) { encoder_.encode(word, ids); });
  }

  std::vector<NormalizerStep> normalizer_;
  bool prefixSpace_;
  size_t decoderStrip_;
  AddedTokens rawTokens_, normalizedTokens_;
  PreTokenizer words_;
  BytePairEncoder encoder_;
  std::string path_;
  std::vector<std::string> texts_; // by id
  int32_t end_ = -1;
};

/// The model with its texts as they occur in words: bytes instead of the characters that stand for them.
absl::StatusOr<BytePairEncoder> makeEncoder(const TokenizerSpec &spec) {
  BytePairEncoder::Model model;
  model.overBytes = spec.byteLevel;
  model.ignoreMerges = spec.ignoreMerges;
  model.byteIds.fill(-1);
  for (const auto &[token, id] : spec.vocab) {
    std::optional<std::string> text = spec.byteLevel ? bytesOf(token) : token;
    if (!text || text->empty()) // no word has this token in it
      continue;
    const int byte =
        spec.byteLevel ? (text->size() == 1 ? static_cast<unsigned char>((*text)[0]) : -1) : byteOfFallback(token);
    if (byte >= 0)
      model.byteIds[static_cast<size_t>(byte)] = id;
    model.vocab.emplace_back(*std::move(text), id);
  }
  auto missing = std::find(model.byteIds.begin(), model.byteIds.end(), -1);
  if (missing != model.byteIds.end())
    return absl::InvalidArgumentError(
        fmt::format("model.vocab has no token for the byte 0x{:02X}: some texts would have no ids",
                    missing - model.byteIds.begin()));
  for (const auto &[left, right] : spec.merges) {
    std::optional<std::string> a = spec.byteLevel ? bytesOf(left) : left, b = spec.byteLevel ? bytesOf(right) : right;
    if (!a || !b)
      return absl::InvalidArgumentError(fmt::format(
          "model.merges[{}]: '{} {}' is not of the characters that stand for bytes", model.merges.size(), left, right));
    model.merges.emplace_back(*std::move(a), *std::move(b));
  }
  return BytePairEncoder::create(model);
}

/// What a token of the model decodes to.
std::string decodedText(const TokenizerSpec &spec, const std::string &token) {
  if (spec.byteLevel)
    return bytesOf(token).value_or(token);
  if (const int byte = byteOfFallback(token); byte >= 0)
    return std::string(1, static_cast<char>(byte));
  std::string text = token;
  for (const auto &[from, to] : spec.decoderReplacements)
    text = replaceAll(text, from, to);
  return text;
}

/// The ids of all tokens, of which each has its own.
absl::StatusOr<absl::flat_hash_map<std::string, int32_t>> idsOfTokens(const TokenizerSpec &spec) {
  absl::flat_hash_map<std::string, int32_t> ids;
  absl::flat_hash_map<int32_t, std::string_view> tokens;
  for (const auto &[token, id] : spec.vocab) {
    ids[token] = id;
    if (auto [known, isNew] = tokens.try_emplace(id, token); !isNew)
      return absl::InvalidArgumentError(
          fmt::format("model.vocab gives the id {} to '{}' and '{}'", id, known->second, token));
  }
  for (const AddedToken &token : spec.added) {
    if (auto [known, isNew] = ids.try_emplace(token.content, token.id); !isNew && known->second != token.id)
      return absl::InvalidArgumentError(
          fmt::format("added_tokens gives '{}' the id {}, model.vocab {}", token.content, token.id, known->second));
    if (auto [known, isNew] = tokens.try_emplace(token.id, token.content); !isNew && known->second != token.content)
      return absl::InvalidArgumentError(fmt::format("added_tokens gives '{}' the id {}, which is that of '{}'",
                                                    token.content, token.id, known->second));
  }
  return ids;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> makeFromSpec(const TokenizerSpec &spec, const std::string &path) {
  std::vector<AddedToken> raw, normalized;
  for (AddedToken token : spec.added) {
    if (token.normalized)
      token.content = normalize(token.content, spec.normalizer);
    if (!token.content.empty())
      (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  ORIEL_ASSIGN_OR_RETURN(PreTokenizer words, PreTokenizer::create(spec.wordPatterns));
  ORIEL_ASSIGN_OR_RETURN(BytePairEncoder encoder, makeEncoder(spec));
  auto tokenizer =
      std::make_unique<HuggingFaceTokenizer>(spec, raw, normalized, std::move(words), std::move(encoder), path);
  ORIEL_ASSIGN_OR_RETURN(auto ids, idsOfTokens(spec));
  for (const auto &[token, id] : spec.vocab)
    tokenizer->setText(id, decodedText(spec, token));
  for (const AddedToken &token : spec.added)
    tokenizer->setText(token.id, token.special ? std::string() : decodedText(spec, token.content));
  auto end = ids.find(spec.endOfDocument);
  if (end == ids.end())
    return absl::InvalidArgumentError(
        fmt::format("there is no token '{}', the eos_token of tokenizer_config.json", spec.endOfDocument));
  tokenizer->setText(end->second, {});
  tokenizer->setEnd(end->second);
  return tokenizer;
}

} // namespace
} // namespace huggingface

absl::StatusOr<std::unique_ptr<Tokenizer>> loadHuggingFace(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(huggingface::TokenizerSpec spec, huggingface::readTokenizerJson(path));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = huggingface::makeFromSpec(spec, path);
  if (!tokenizer.ok())
    return runtime::withContext(tokenizer.status(), path);
  return tokenizer;
}

} // namespace oriel::trainer
