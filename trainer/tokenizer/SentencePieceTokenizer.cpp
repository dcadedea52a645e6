// Loading, checking and training of sentencepiece models.
#include "trainer/tokenizer/SentencePieceTokenizer.h"
#include "trainer/tokenizer/SentencePieceBridge.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <cstdio>
#include <unistd.h>

namespace oriel::trainer {
namespace {

class SentencePieceTokenizer final : public Tokenizer {
public:
  SentencePieceTokenizer(std::unique_ptr<SentencePieceBridge> bridge, std::string path)
      : bridge_(std::move(bridge)), path_(std::move(path)) {}

  std::vector<int32_t> encode(std::string_view text) const override {
    // sentencepiece gives up its lattice at a line; a model learnt with lines sees them as separate sentences anyway.
    // So each line is encoded with its own break, which is a byte token or a learnt piece.
    std::vector<int32_t> ids;
    while (!text.empty()) {
      size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
      std::vector<int> line = bridge_->encode(text.substr(0, end));
      ids.insert(ids.end(), line.begin(), line.end());
      text.remove_prefix(end);
    }
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::vector<int> kept;
    for (int32_t id : ids)
      if (id >= 0 && id < bridge_->vocabSize() && !bridge_->isControl(id))
        kept.push_back(id);
    return bridge_->decode(kept);
  }

  int32_t vocabSize() const override { return bridge_->vocabSize(); }
  int32_t endOfDocument() const override { return bridge_->endId(); }
  std::string name() const override { return path_; }

private:
  std::unique_ptr<SentencePieceBridge> bridge_;
  std::string path_;
};

absl::Status checkTraining(const TokenizerTraining &training) {
  if (training.inputs.empty())
    return absl::InvalidArgumentError("training a tokenizer needs at least one text file");
  if (!training.modelPath.ends_with(".model"))
    return absl::InvalidArgumentError(fmt::format("{}: the output must end in .model", training.modelPath));
  if (training.vocabSize < 300 || training.vocabSize > 1'000'000)
    return absl::InvalidArgumentError(fmt::format(
        "a vocabulary of {} is outside 300 … 1000000 (256 bytes and the special ids come first)", training.vocabSize));
  if (training.kind != "bpe" && training.kind != "unigram")
    return absl::InvalidArgumentError(fmt::format("kind '{}' is not one of bpe, unigram", training.kind));
  for (const std::string &input : training.inputs) {
    if (input.find(',') != std::string::npos)
      return absl::InvalidArgumentError(fmt::format("{}: a path with a comma cannot be given to sentencepiece", input));
    if (::access(input.c_str(), R_OK) != 0)
      return runtime::errnoStatus(input);
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> loadSentencePiece(const std::string &path) {
  ORIEL_ASSIGN_OR_RETURN(std::string bytes, runtime::readFile(path));
  std::string error;
  std::unique_ptr<SentencePieceBridge> bridge = SentencePieceBridge::fromBytes(bytes, error);
  if (!bridge)
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, error));
  if (bridge->endId() < 0)
    return absl::InvalidArgumentError(
        fmt::format("{}: the model has no </s>, which marks the end of a document", path));
  return std::make_unique<SentencePieceTokenizer>(std::move(bridge), path);
}

absl::Status trainTokenizer(const TokenizerTraining &training) {
  ORIEL_RETURN_IF_ERROR(checkTraining(training));
  const std::string prefix = training.modelPath.substr(0, training.modelPath.size() - std::string(".model").size());
  const std::string temporary = fmt::format("{}.tmp-{}", prefix, ::getpid());
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runtime::folderOf(training.modelPath)));
  std::string error = SentencePieceBridge::train(training.inputs, temporary, training.vocabSize, training.kind);
  absl::Status status = error.empty() ? runtime::syncPath(temporary + ".model") : absl::InvalidArgumentError(error);
  if (status.ok())
    status = runtime::renameDurably(temporary + ".model", training.modelPath);
  if (status.ok())
    status = runtime::renameDurably(temporary + ".vocab", prefix + ".vocab");
  std::remove((temporary + ".model").c_str());
  std::remove((temporary + ".vocab").c_str());
  return status.ok() ? status : runtime::withContext(status, "training " + training.modelPath);
}

} // namespace oriel::trainer
