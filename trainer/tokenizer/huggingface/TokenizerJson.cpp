// One function per part of the file; each either understands what it reads or says what it does not.
#include "trainer/tokenizer/huggingface/TokenizerJson.h"

#include "trainer/tokenizer/huggingface/JsonField.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

namespace oriel::trainer::huggingface {
namespace {

using Kind = NormalizerStep::Kind;

/// What ByteLevel splits by with `use_regex`: the words of GPT-2.
constexpr const char *gpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

absl::Status unsupported(const JsonField &field, const std::string &value, const char *supported) {
  return field.error(fmt::format("{} is not supported; supported: {}", value, supported));
}

/// Nothing but the value that changes nothing.
absl::Status mustBeNeutral(const JsonField &field, const nlohmann::json &neutral) {
  if (field.absent() || field.json() == neutral)
    return absl::OkStatus();
  return unsupported(field, field.json().dump(), "null");
}

absl::Status readAddedToken(const JsonField &field, std::vector<AddedToken> &added) {
  AddedToken token;
  ORIEL_ASSIGN_OR_RETURN(token.content, field["content"].text());
  ORIEL_ASSIGN_OR_RETURN(token.id, field["id"].id());
  ORIEL_ASSIGN_OR_RETURN(token.special, field["special"].flag(false));
  ORIEL_ASSIGN_OR_RETURN(token.normalized, field["normalized"].flag(!token.special));
  ORIEL_ASSIGN_OR_RETURN(token.stripLeft, field["lstrip"].flag(false));
  ORIEL_ASSIGN_OR_RETURN(token.stripRight, field["rstrip"].flag(false));
  ORIEL_RETURN_IF_ERROR(mustBeNeutral(field["single_word"], false));
  if (token.content.empty())
    return field["content"].error("is empty");
  added.push_back(std::move(token));
  return absl::OkStatus();
}

absl::Status readNormalizer(const JsonField &field, std::vector<NormalizerStep> &steps) {
  if (field.absent())
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(std::string type, field["type"].text());
  if (type == "Sequence") {
    ORIEL_ASSIGN_OR_RETURN(std::vector<JsonField> children, field["normalizers"].elements());
    for (const JsonField &child : children)
      ORIEL_RETURN_IF_ERROR(readNormalizer(child, steps));
    return absl::OkStatus();
  }
  constexpr std::array<std::pair<std::string_view, Kind>, 4> forms = {
      {{"NFC", Kind::Nfc}, {"NFD", Kind::Nfd}, {"NFKC", Kind::Nfkc}, {"NFKD", Kind::Nfkd}}};
  for (const auto &[name, kind] : forms)
    if (type == name)
      return steps.push_back({kind, {}, {}}), absl::OkStatus();
  NormalizerStep step{Kind::Prepend, {}, {}};
  if (type == "Prepend") {
    ORIEL_ASSIGN_OR_RETURN(step.to, field["prepend"].text());
  } else if (type == "Replace") {
    step.kind = Kind::Replace;
    ORIEL_ASSIGN_OR_RETURN(step.from, field["pattern"]["String"].text());
    ORIEL_ASSIGN_OR_RETURN(step.to, field["content"].text());
    if (step.from.empty())
      return field["pattern"]["String"].error("is empty");
  } else {
    return unsupported(field["type"], type, "NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
  }
  steps.push_back(std::move(step));
  return absl::OkStatus();
}

/// A regular expression for exactly this text.
std::string patternOf(const std::string &text) {
  std::string regex;
  for (char c : text)
    regex += std::string_view("\\^$.|?*+()[]{}").find(c) == std::string_view::npos ? std::string(1, c)
                                                                                   : std::string("\\") + c;
  return regex;
}

/// Isolated makes words of the matches and of what lies between. So does Removed with `invert`, as long as the pattern
/// matches everywhere, as it does in files in use; what it would not match is kept here, so that no text is lost.
absl::Status readSplit(const JsonField &field, TokenizerSpec &spec) {
  ORIEL_ASSIGN_OR_RETURN(std::string behavior, field["behavior"].text());
  ORIEL_ASSIGN_OR_RETURN(bool invert, field["invert"].flag(false));
  if (behavior != "Isolated" && !(behavior == "Removed" && invert))
    return unsupported(field["behavior"], behavior, "Isolated, and Removed with invert");
  const JsonField pattern = field["pattern"];
  if (pattern["Regex"].isText()) {
    ORIEL_ASSIGN_OR_RETURN(std::string regex, pattern["Regex"].text());
    spec.wordPatterns.push_back(std::move(regex));
    return absl::OkStatus();
  }
  ORIEL_ASSIGN_OR_RETURN(std::string text, pattern["String"].text());
  spec.wordPatterns.push_back(patternOf(text));
  return absl::OkStatus();
}

absl::Status readByteLevel(const JsonField &field, TokenizerSpec &spec) {
  ORIEL_ASSIGN_OR_RETURN(spec.prefixSpace, field["add_prefix_space"].flag(true));
  if (spec.prefixSpace && !spec.wordPatterns.empty())
    return unsupported(field["add_prefix_space"], "true after another pre-tokenizer", "false");
  ORIEL_ASSIGN_OR_RETURN(bool useRegex, field["use_regex"].flag(true));
  if (useRegex)
    spec.wordPatterns.push_back(gpt2Words);
  spec.byteLevel = true;
  return absl::OkStatus();
}

absl::Status readPreTokenizer(const JsonField &field, TokenizerSpec &spec) {
  if (field.absent())
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(std::string type, field["type"].text());
  if (spec.byteLevel)
    return unsupported(field["type"], type + " after ByteLevel", "ByteLevel as the last");
  if (type == "Sequence") {
    ORIEL_ASSIGN_OR_RETURN(std::vector<JsonField> children, field["pretokenizers"].elements());
    for (const JsonField &child : children)
      ORIEL_RETURN_IF_ERROR(readPreTokenizer(child, spec));
    return absl::OkStatus();
  }
  if (type == "Split")
    return readSplit(field, spec);
  if (type == "ByteLevel")
    return readByteLevel(field, spec);
  if (type != "Digits")
    return unsupported(field["type"], type, "ByteLevel, Digits, Sequence, Split");
  ORIEL_ASSIGN_OR_RETURN(bool individual, field["individual_digits"].flag(false));
  spec.wordPatterns.push_back(individual ? R"(\p{N})" : R"(\p{N}+)");
  return absl::OkStatus();
}

/// Whether two tokens make one, in both ways in which files write it: "a b" and ["a", "b"].
absl::StatusOr<std::pair<std::string, std::string>> readMerge(const JsonField &field) {
  const nlohmann::json &json = field.json();
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string())
    return std::make_pair(json[0].get<std::string>(), json[1].get<std::string>());
  std::string text = json.is_string() ? json.get<std::string>() : std::string();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    return field.error("is no pair of tokens");
  return std::make_pair(text.substr(0, space), text.substr(space + 1));
}

absl::Status readModel(const JsonField &field, TokenizerSpec &spec) {
  const JsonField type = field["type"]; // which the oldest files lack
  if (field["merges"].absent() || (!type.absent() && type.json() != "BPE"))
    return unsupported(type, type.json().dump(), "BPE");
  ORIEL_RETURN_IF_ERROR(mustBeNeutral(field["dropout"], 0.0));
  ORIEL_RETURN_IF_ERROR(mustBeNeutral(field["continuing_subword_prefix"], ""));
  ORIEL_RETURN_IF_ERROR(mustBeNeutral(field["end_of_word_suffix"], ""));
  ORIEL_ASSIGN_OR_RETURN(bool byteFallback, field["byte_fallback"].flag(false));
  if (!spec.byteLevel && !byteFallback)
    return field["byte_fallback"].error(
        "is false and no ByteLevel pre-tokenizer is there: some texts would have no ids");
  ORIEL_ASSIGN_OR_RETURN(spec.ignoreMerges, field["ignore_merges"].flag(false));
  const JsonField vocab = field["vocab"];
  if (!vocab.json().is_object() || vocab.json().empty())
    return vocab.error("is no object of tokens and ids");
  for (const auto &[token, value] : vocab.json().items()) {
    ORIEL_ASSIGN_OR_RETURN(int32_t id, vocab[token].id());
    spec.vocab.emplace_back(token, id);
  }
  ORIEL_ASSIGN_OR_RETURN(std::vector<JsonField> merges, field["merges"].elements());
  for (const JsonField &merge : merges) {
    ORIEL_ASSIGN_OR_RETURN(spec.merges.emplace_back(), readMerge(merge));
  }
  return absl::OkStatus();
}

/// The decoder undoes what was done to the text. Over bytes there is nothing to choose; over characters it is the
/// Sequence of Llama 2: Replace, ByteFallback, Fuse, Strip.
absl::Status readDecoder(const JsonField &field, TokenizerSpec &spec) {
  if (field.absent())
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(std::string type, field["type"].text());
  if (type == "Sequence") {
    ORIEL_ASSIGN_OR_RETURN(std::vector<JsonField> children, field["decoders"].elements());
    for (const JsonField &child : children)
      ORIEL_RETURN_IF_ERROR(readDecoder(child, spec));
    return absl::OkStatus();
  }
  if (type == "ByteLevel" && spec.byteLevel)
    return absl::OkStatus();
  if (spec.byteLevel)
    return unsupported(field["type"], type, "ByteLevel");
  if (type == "ByteFallback" || type == "Fuse")
    return absl::OkStatus();
  if (type == "Replace") {
    auto &[from, to] = spec.decoderReplacements.emplace_back();
    ORIEL_ASSIGN_OR_RETURN(from, field["pattern"]["String"].text());
    ORIEL_ASSIGN_OR_RETURN(to, field["content"].text());
    return from.empty() ? field["pattern"]["String"].error("is empty") : absl::OkStatus();
  }
  if (type != "Strip")
    return unsupported(field["type"], type, "ByteFallback, Fuse, Replace, Sequence, Strip");
  if (field["content"].json() != " " || field["stop"].json() != 0)
    return unsupported(field, field.json().dump(), "Strip of spaces at the start");
  ORIEL_ASSIGN_OR_RETURN(int32_t start, field["start"].id());
  spec.decoderStrip = static_cast<size_t>(start);
  return absl::OkStatus();
}

/// `eos_token` of tokenizer_config.json: a string, or an object with its content. Empty without a file or a token.
absl::StatusOr<std::string> configuredEnd(const std::string &tokenizerPath) {
  const std::string path = runtime::folderOf(tokenizerPath) + "/tokenizer_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return std::string();
  ORIEL_ASSIGN_OR_RETURN(JsonField config, JsonField::read(path));
  const JsonField token = config["eos_token"];
  if (token.absent())
    return std::string();
  return token.isText() ? token.text() : token["content"].text();
}

absl::Status findEndOfDocument(const std::string &path, TokenizerSpec &spec) {
  ORIEL_ASSIGN_OR_RETURN(spec.endOfDocument, configuredEnd(path));
  if (!spec.endOfDocument.empty())
    return absl::OkStatus();
  constexpr std::array<std::string_view, 6> names = {"<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>",
                                                     "</s>",          "<eos>",           "<EOT>"};
  for (std::string_view name : names)
    if (std::any_of(spec.added.begin(), spec.added.end(), [&](const AddedToken &t) { return t.content == name; })) {
      spec.endOfDocument = name;
      return absl::OkStatus();
    }
  return absl::InvalidArgumentError(fmt::format(
      "{}: added_tokens has no token that ends a document; name one as \"eos_token\" in {}/tokenizer_config.json", path,
      runtime::folderOf(path)));
}

} // namespace

absl::StatusOr<TokenizerSpec> readTokenizerJson(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(JsonField root, JsonField::read(path));
  TokenizerSpec spec;
  ORIEL_ASSIGN_OR_RETURN(std::vector<JsonField> added, root["added_tokens"].elements());
  for (const JsonField &token : added)
    ORIEL_RETURN_IF_ERROR(readAddedToken(token, spec.added));
  ORIEL_RETURN_IF_ERROR(readNormalizer(root["normalizer"], spec.normalizer));
  ORIEL_RETURN_IF_ERROR(readPreTokenizer(root["pre_tokenizer"], spec));
  ORIEL_RETURN_IF_ERROR(readModel(root["model"], spec));
  ORIEL_RETURN_IF_ERROR(readDecoder(root["decoder"], spec));
  ORIEL_RETURN_IF_ERROR(findEndOfDocument(path, spec));
  return spec;
}

} // namespace oriel::trainer::huggingface
