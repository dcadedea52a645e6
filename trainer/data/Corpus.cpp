// Cutting texts into documents.
#include "trainer/data/Corpus.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"
#include "nlohmann/json.hpp"

#include <algorithm>

namespace oriel::trainer {
namespace {

bool isValidation(const CorpusOptions &options, int64_t block) {
  return options.validationEvery > 0 && block % options.validationEvery == options.validationEvery - 1;
}

/// Where the block that begins at `begin` ends: behind the first line end at or after blockBytes, but at most twice as
/// far, there at the start of a UTF-8 character.
size_t blockEnd(std::string_view text, size_t begin, size_t blockBytes) {
  if (text.size() - begin <= blockBytes)
    return text.size();
  size_t end = text.find('\n', begin + blockBytes - 1);
  size_t limit = std::min(text.size(), begin + 2 * blockBytes);
  if (end != std::string_view::npos && end < limit)
    return end + 1;
  for (int i = 0; i < 3 && limit < text.size() && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80; ++i)
    ++limit;
  return limit;
}

/// Runs of blocks of one kind are one document. `block` is the number of the text's first block, and then of the next's.
absl::Status splitFile(const CorpusOptions &options, std::string_view text, int64_t &block, const DocumentSink &sink) {
  if (options.validationEvery == 0)
    return text.empty() ? absl::OkStatus() : sink(text, false);
  size_t documentBegin = 0, at = 0;
  for (; at < text.size(); ++block) {
    at = blockEnd(text, at, static_cast<size_t>(options.blockBytes));
    const bool validation = isValidation(options, block);
    if (at < text.size() && isValidation(options, block + 1) == validation)
      continue;
    ORIEL_RETURN_IF_ERROR(sink(text.substr(documentBegin, at - documentBegin), validation));
    documentBegin = at;
  }
  return absl::OkStatus();
}

/// Paragraphs are separated by empty lines and keep their last line end.
/// `before` is the length of the texts before this one.
absl::Status splitParagraphs(const CorpusOptions &options, std::string_view text, int64_t before,
                             const DocumentSink &sink) {
  size_t at = 0;
  while ((at = text.find_first_not_of("\r\n", at)) != std::string_view::npos) {
    size_t end = text.find("\n\n", at);
    size_t windows = text.find("\n\r\n", at); // an empty line with a carriage return
    end = std::min({end, windows, text.size() - 1}) + 1;
    const int64_t block = (before + static_cast<int64_t>(at)) / options.blockBytes;
    ORIEL_RETURN_IF_ERROR(sink(text.substr(at, end - at), isValidation(options, block)));
    at = end;
  }
  return absl::OkStatus();
}

absl::Status splitJsonl(const CorpusOptions &options, const std::string &path, std::string_view text, int64_t before,
                        const DocumentSink &sink) {
  size_t at = 0;
  for (int64_t line = 1; at < text.size(); ++line) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view record = text.substr(at, end - at);
    const int64_t block = (before + static_cast<int64_t>(at)) / options.blockBytes;
    at = end + 1;
    if (record.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    nlohmann::json json = nlohmann::json::parse(record.begin(), record.end(), nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded() || !json.is_object())
      return absl::InvalidArgumentError(fmt::format("{}:{}: not a JSON object", path, line));
    auto field = json.find(options.jsonField);
    if (field == json.end() || !field->is_string())
      return absl::InvalidArgumentError(fmt::format("{}:{}: there is no string '{}' (--field names another)", path, line, options.jsonField));
    ORIEL_RETURN_IF_ERROR(sink(field->get_ref<const std::string &>(), isValidation(options, block)));
  }
  return absl::OkStatus();
}

} // namespace

absl::Status readCorpus(const CorpusOptions &options, const DocumentSink &sink) {
  if (options.inputs.empty())
    return absl::InvalidArgumentError("no input files");
  if (options.blockBytes < 1 || options.validationEvery < 0 || options.validationEvery == 1)
    return absl::InvalidArgumentError(
        fmt::format("blocks of {} bytes with every {}th for validation leave nothing to train on", options.blockBytes,
                    options.validationEvery));
  int64_t block = 0, before = 0;
  for (const std::string &path : options.inputs) {
    ORIEL_ASSIGN_OR_RETURN(runtime::MappedFile file, runtime::MappedFile::open(path));
    std::string_view text(file.text().data(), file.text().size());
    switch (options.documents) {
    case DocumentKind::File:
      ORIEL_RETURN_IF_ERROR(splitFile(options, text, block, sink));
      break;
    case DocumentKind::Paragraph:
      ORIEL_RETURN_IF_ERROR(splitParagraphs(options, text, before, sink));
      break;
    case DocumentKind::Jsonl:
      ORIEL_RETURN_IF_ERROR(splitJsonl(options, path, text, before, sink));
      break;
    }
    before += static_cast<int64_t>(text.size());
  }
  return absl::OkStatus();
}

} // namespace oriel::trainer
