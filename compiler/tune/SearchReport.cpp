#include "compiler/tune/SearchReport.h"

#include "compiler/tune/Chart.h"
#include "compiler/tune/MixerWay.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace oriel::tune {

std::string printSearch(Format format, const std::string &title, const Table &trials, const std::string &summary,
                        const nlohmann::ordered_json &json) {
  switch (format) {
  case Format::Json:
    return json.dump(2) + "\n";
  case Format::Html:
    return page("Search: " + title, printHtml(trials) + "<pre>" + escapeHtml(summary) + "</pre>\n");
  default:
    return title + "\n\n" + printText(trials) + "\n" + summary;
  }
}

std::string choicesOf(const StepReport &report) {
  std::string text;
  for (const MixerRow &row : report.mixers)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", formatLayers(row.layers), wordsOf(row.way));
  return text;
}

} // namespace oriel::tune
