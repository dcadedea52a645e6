// tokenizer.json: the ids and texts of PyPI `tokenizers`, any bytes, and what is refused.
#include "trainer/tokenizer/Tokenizer.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "nlohmann/json.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const std::string folderOfData = ORIEL_TOKENIZER_DATA;

Json readJson(const std::string &name) { return Json::parse(readText(folderOfData + "/" + name)); }

absl::StatusOr<std::unique_ptr<Tokenizer>> load(const Json &json) {
  TemporaryFolder folder;
  writeText(folder / "tokenizer.json", json.dump());
  return makeTokenizer(folder / "tokenizer.json");
}

/// bytes.json or characters.json with a merge patch.
absl::StatusOr<std::unique_ptr<Tokenizer>> loadPatched(const std::string &base, const Json &patch) {
  Json json = readJson(base);
  json.merge_patch(patch);
  return load(json);
}

class HuggingFace : public testing::TestWithParam<int> {
protected:
  const Json variant_ = readJson("expectations.json").at(static_cast<size_t>(GetParam()));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer_ = loadPatched(variant_["base"], variant_["patch"]);
};

// expectations.json says what `tokenizers` 0.23.3 makes of each text; make_huggingface_expectations.py wrote it.
TEST_P(HuggingFace, GivesTheIdsAndTextsOfTokenizers) {
  ASSERT_TRUE(tokenizer_.ok()) << variant_["name"] << tokenizer_.status();
  EXPECT_GT(variant_["cases"].size(), 20u);
  for (const Json &expected : variant_["cases"]) {
    const std::string text = expected["text"];
    const std::vector<int32_t> ids = (*tokenizer_)->encode(text);
    EXPECT_EQ(ids, expected["ids"].get<std::vector<int32_t>>()) << variant_["name"] << ": " << expected["text"];
    EXPECT_EQ((*tokenizer_)->decode(ids), expected["decoded"].get<std::string>()) << variant_["name"];
  }
}

TEST_P(HuggingFace, KeepsInvalidBytes) {
  ASSERT_TRUE(tokenizer_.ok()) << variant_["name"] << tokenizer_.status();
  std::string every;
  for (int i = 0; i < 256; ++i)
    every += static_cast<char>(i);
  const std::string prefix = variant_["name"] == "prefix space" ? " " : "";
  for (const std::string &text :
       {every, std::string("\xff"), std::string("ab\xe4\xb8 c\xc0\x80 \xed\xa0\x80\n\xf4\x90\x80\x80"),
        std::string("caf\xc3\xa9 caf\xc3"), std::string("\x80 x")})
    EXPECT_EQ((*tokenizer_)->decode((*tokenizer_)->encode(text)), prefix + text) << variant_["name"];
}

INSTANTIATE_TEST_SUITE_P(Variants, HuggingFace, testing::Range(0, 9));

TEST(HuggingFaceFile, NamesTheTokenThatEndsADocument) {
  auto tokenizer = loadPatched("bytes.json", Json::object());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocabSize(), 703);
  EXPECT_EQ((*tokenizer)->endOfDocument(), 702) << "<|end_of_text|>";
  EXPECT_EQ((*tokenizer)->decode(std::vector<int32_t>{39, 702, 9999, -1, 72}), "Hi");
  TemporaryFolder folder;
  writeText(folder / "tokenizer.json", readText(folderOfData + "/bytes.json"));
  for (const char *token : {R"("<|begin_of_text|>")", R"({"content": "<|begin_of_text|>"})"}) {
    writeText(folder / "tokenizer_config.json", std::string(R"({"eos_token": )") + token + "}");
    auto configured = makeTokenizer(folder / "tokenizer.json");
    ASSERT_TRUE(configured.ok()) << configured.status();
    EXPECT_EQ((*configured)->endOfDocument(), 701);
    EXPECT_EQ((*configured)->name(), folder / "tokenizer.json");
  }
  auto byFolder = makeTokenizer(folder.path());
  ASSERT_TRUE(byFolder.ok()) << byFolder.status();
  EXPECT_EQ((*byFolder)->name(), folder / "tokenizer.json");
  writeText(folder / "tokenizer_config.json", R"({"eos_token": "<none>"})");
  EXPECT_THAT(std::string(makeTokenizer(folder / "tokenizer.json").status().message()), HasSubstr("no token '<none>'"));
}

// A word of n bytes is merged in O(n log n): a million must not take minutes.
TEST(HuggingFaceFile, MergesLongWords) {
  auto tokenizer = loadPatched("bytes.json", Json::object());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  std::string text;
  for (int64_t i = 0; i < 1'000'000; ++i)
    text += static_cast<char>('a' + i * i % 26);
  const std::vector<int32_t> ids = (*tokenizer)->encode(text);
  EXPECT_LT(ids.size(), text.size());
  EXPECT_EQ((*tokenizer)->decode(ids), text);
}

struct Refusal {
  const char *base, *patch;
  std::vector<const char *> words;
};

// What a file asks for and is not there is named with its field and with what is there.
TEST(HuggingFaceFile, RefusesWhatItDoesNotKnow) {
  const Refusal refusals[] = {
      {"bytes.json",
       R"({"model": {"type": "Unigram"}})",
       {"tokenizer.json: model.type \"Unigram\" is not supported", "BPE"}},
      {"bytes.json",
       R"({"normalizer": {"type": "Lowercase"}})",
       {"normalizer.type Lowercase is not supported; supported: NFC"}},
      {"bytes.json",
       R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace",
        "pattern": {"Regex": "a"}, "content": "b"}]}})",
       {"normalizer.normalizers[1].pattern.String is not a string"}},
      {"bytes.json", R"({"pre_tokenizer": {"type": "Whitespace"}})", {"pre_tokenizer.type Whitespace", "ByteLevel"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "ByteLevel", "add_prefix_space": false}, {"type": "Digits"}]}})",
       {"pre_tokenizer.pretokenizers[1].type Digits after ByteLevel"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel", "add_prefix_space": true}]}})",
       {"pretokenizers[1].add_prefix_space"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed"}]}})",
       {"pretokenizers[0].behavior Removed"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Isolated"},
        {"type": "ByteLevel", "add_prefix_space": false}]}})",
       {"the pattern \\w+ has the escape \\w"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "Split", "pattern": {"Regex": "a*"}, "behavior": "Isolated"},
        {"type": "ByteLevel", "add_prefix_space": false}]}})",
       {"the pattern a* may match the empty text"}},
      {"bytes.json",
       R"({"pre_tokenizer": {"pretokenizers": [{"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"},
        {"type": "ByteLevel", "add_prefix_space": false}]}})",
       {"the pattern (a is malformed"}},
      {"bytes.json", R"({"pre_tokenizer": null})", {"model.byte_fallback is false", "no ids"}},
      {"bytes.json", R"({"decoder": {"type": "WordPiece"}})", {"decoder.type WordPiece"}},
      {"bytes.json", R"({"model": {"dropout": 0.1}})", {"model.dropout 0.1"}},
      {"bytes.json", R"({"model": {"end_of_word_suffix": "</w>"}})", {"model.end_of_word_suffix \"</w>\""}},
      {"bytes.json",
       R"({"model": {"vocab": {"\u0100": null}, "merges": []}})",
       {"model.vocab has no token for the byte 0x00"}},
      {"bytes.json", R"({"model": {"vocab": {"a": 0}}})", {"model.vocab gives the id 0 to '!' and 'a'"}},
      {"bytes.json", R"({"model": {"vocab": {"a": -1}}})", {"model.vocab.a is not an id"}},
      {"bytes.json", R"({"model": {"vocab": {"th": null}}})", {"model.merges[0]", "no token 'th'"}},
      {"bytes.json", R"({"model": {"merges": [["a"]]}})", {"model.merges[0] is no pair of tokens"}},
      {"bytes.json", R"({"model": {"merges": ["a b c"]}})", {"model.merges[0] is no pair of tokens"}},
      {"bytes.json",
       R"({"added_tokens": [{"content": "a", "id": 5}]})",
       {"added_tokens has no token that ends a document"}},
      {"bytes.json",
       R"({"added_tokens": [{"content": "</s>", "id": 800}, {"content": "a", "id": 5}]})",
       {"'a' the id 5, model.vocab 64"}},
      {"bytes.json",
       R"({"added_tokens": [{"content": "</s>", "id": 800, "single_word": true}]})",
       {"added_tokens[0].single_word true"}},
      {"characters.json", R"({"model": {"byte_fallback": false}})", {"model.byte_fallback is false"}},
      {"characters.json", R"({"model": {"vocab": {"<0x7F>": null}}})", {"no token for the byte 0x7F"}},
  };
  for (const Refusal &refusal : refusals) {
    absl::Status status = loadPatched(refusal.base, Json::parse(refusal.patch)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << refusal.patch;
    EXPECT_THAT(std::string(status.message()), HasSubstr("tokenizer.json: "));
    for (const char *word : refusal.words)
      EXPECT_THAT(std::string(status.message()), HasSubstr(word)) << refusal.patch;
  }
}

TEST(HuggingFaceFile, RefusesWhatIsNoTokenizer) {
  TemporaryFolder folder;
  EXPECT_EQ(makeTokenizer(folder / "none.json").status().code(), absl::StatusCode::kNotFound);
  for (const char *bytes : {"", "{\"model\": ", "[]", "{}", "null", "{\"model\": {\"type\": \"BPE\"}}"}) {
    writeText(folder / "tokenizer.json", bytes);
    absl::Status status = makeTokenizer(folder / "tokenizer.json").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bytes;
    EXPECT_THAT(std::string(status.message()), HasSubstr("tokenizer.json: ")) << bytes;
  }
}

} // namespace
} // namespace oriel::trainer
