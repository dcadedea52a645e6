// The one-page report of a run: inline SVG loss curve, facts, sample text. One file, no script, no network.
#pragma once

#include "absl/status/status.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace oriel::trainer {

struct RunReport {
  std::string title;
  std::vector<std::pair<int64_t, double>> trainLoss, validationLoss; // (step, nats per token)
  std::vector<std::pair<std::string, std::string>> facts;            // shown as a table, in order
  std::string samplePrompt, sample;
  std::string jobToml, modelText;
};

/// The page; every text is escaped.
std::string renderReport(const RunReport &report);
/// Written atomically; makes the folder.
absl::Status writeReport(const std::string &path, const RunReport &report);

} // namespace oriel::trainer
