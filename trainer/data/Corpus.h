// Text files as documents, split into a training and a validation part of the same distribution.
//
// Texts are cut into blocks of about `blockBytes`, at line ends; every `validationEvery`-th block is validation. The count
// runs on from text to text, so that short ones give their share too. With documents = file, the training blocks between two validation blocks are one document (no text is
// skipped inside a document). With paragraph and jsonl, documents stay whole and go where their first byte falls.
#pragma once

#include "absl/status/status.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::trainer {

enum class DocumentKind { File, Paragraph, Jsonl };

struct CorpusOptions {
  std::vector<std::string> inputs;
  DocumentKind documents = DocumentKind::File;
  std::string jsonField = "text";
  int64_t validationEvery = 0; // 0: everything is training
  int64_t blockBytes = 4096;
};

/// Called for every document, in order; the text is valid during the call.
using DocumentSink = std::function<absl::Status(std::string_view text, bool validation)>;

/// Reads all inputs. Errors name file and line.
absl::Status readCorpus(const CorpusOptions &options, const DocumentSink &sink);

} // namespace oriel::trainer
