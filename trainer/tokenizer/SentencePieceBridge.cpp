// The only file that sees sentencepiece. No abseil or protobuf header may be included here.
#include "trainer/tokenizer/SentencePieceBridge.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

namespace oriel::trainer {
namespace {

class Bridge final : public SentencePieceBridge {
public:
  sentencepiece::SentencePieceProcessor processor;

  std::vector<int> encode(std::string_view text) const override {
    std::vector<int> ids;
    if (!processor.Encode(text, &ids).ok())
      ids.clear();
    return ids;
  }

  std::string decode(const std::vector<int> &ids) const override {
    std::string text;
    if (!processor.Decode(ids, &text).ok())
      text.clear();
    return text;
  }

  int vocabSize() const override { return processor.GetPieceSize(); }
  int endId() const override { return processor.eos_id(); }
  bool isControl(int id) const override { return processor.IsControl(id); }
};

std::unique_ptr<SentencePieceBridge> fromBytes(std::string_view modelBytes, std::string &error) {
  auto bridge = std::make_unique<Bridge>();
  sentencepiece::util::Status status = bridge->processor.LoadFromSerializedProto(modelBytes);
  if (!status.ok()) {
    error = status.ToString();
    return nullptr;
  }
  return bridge;
}

std::string train(const std::vector<std::string> &inputs, const std::string &prefix, int vocabSize,
                  const std::string &kind) {
  // Line breaks and runs of spaces are text for a language model: identity normalisation, nothing stripped, and byte
  // fallback so that every input has an encoding. One thread and a fixed seed make the model reproducible.
  std::string joined;
  for (const std::string &input : inputs)
    joined += (joined.empty() ? "" : ",") + input;
  std::unordered_map<std::string, std::string> options{
      {"input", joined},
      {"model_prefix", prefix},
      {"vocab_size", std::to_string(vocabSize)},
      {"model_type", kind},
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_digits", "true"},
      {"character_coverage", "0.9999"},
      {"bos_id", "-1"},
      {"num_threads", "1"},
      {"input_sentence_size", "500000"},
      {"shuffle_input_sentence", "true"},
      {"max_sentence_length", "16384"},
      {"minloglevel", "2"},
  };
  sentencepiece::SetRandomGeneratorSeed(1);
  sentencepiece::util::Status status = sentencepiece::SentencePieceTrainer::Train(options);
  return status.ok() ? std::string() : status.ToString();
}

} // namespace
} // namespace oriel::trainer

extern "C" const oriel::trainer::SentencePieceFunctions *orielSentencePiece() {
  static const oriel::trainer::SentencePieceFunctions functions{oriel::trainer::fromBytes, oriel::trainer::train};
  return &functions;
}
