#include "compiler/tune/TilingReport.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace oriel::tune {

using schedule::TilingCandidate;
using schedule::TilingQuestion;

std::string tilingTitle(const TilingQuestion &question) {
  return question.isGiven ? "tiles, given by hand"
                          : fmt::format("tiles, and the fastest rivals of {}", question.candidates.size() - 1);
}

Table tilingTable(const TilingQuestion &question, size_t most) {
  Table table{{{"", true},
               {"rows"},
               {"columns"},
               {"warps"},
               {"stages"},
               {"predicted"},
               {"arithmetic"},
               {"memory"},
               {"L2"},
               {"latency"},
               {"bound by", true},
               {"registers"},
               {"shared KiB"}},
              {}};
  for (size_t i = 0; i < std::min(most + 1, question.candidates.size()); ++i) {
    const TilingCandidate &c = question.candidates[i];
    table.rows.push_back({i > 0 ? "" : question.isGiven ? "given" : "chosen", c.rows > 0 ? fmt::format("{}", c.rows) : "-",
                          c.columns > 0 ? fmt::format("{}", c.columns) : "own", fmt::format("{}", c.warps),
                          fmt::format("{}", c.stages), formatSeconds(c.time.seconds),
                          formatSeconds(c.time.arithmeticSeconds), formatSeconds(c.time.memorySeconds),
                          formatSeconds(c.time.cacheSeconds), formatSeconds(c.time.latencySeconds),
                          std::string(schedule::boundName(c.time.bound)),
                          fmt::format("{}{}", c.assembled ? "" : ">= ", c.registers),
                          fmt::format("{:.1f}", static_cast<double>(c.sharedBytes) / 1024)});
  }
  return table;
}

std::string refusedTilings(const TilingQuestion &question) {
  std::string text;
  for (const schedule::RefusedTiling &refused : question.refused)
    text += fmt::format("refused: {}: {}\n", wordsOf(refused), refused.why);
  return text;
}

nlohmann::ordered_json tilingJson(const TilingQuestion &question) {
  nlohmann::ordered_json json = {{"kernel", question.kernel},
                                 {"given", question.isGiven},
                                 {"candidates", nlohmann::ordered_json::array()},
                                 {"refused", nlohmann::ordered_json::array()}};
  for (const TilingCandidate &c : question.candidates)
    json["candidates"].push_back({{"rows", c.rows},
                                  {"columns", c.columns},
                                  {"warps", c.warps},
                                  {"stages", c.stages},
                                  {"registers", c.registers},
                                  {"shared_bytes", c.sharedBytes},
                                  {"assembled", c.assembled},
                                  {"predicted_seconds", c.time.seconds},
                                  {"arithmetic_seconds", c.time.arithmeticSeconds},
                                  {"memory_seconds", c.time.memorySeconds},
                                  {"l2_seconds", c.time.cacheSeconds},
                                  {"latency_seconds", c.time.latencySeconds},
                                  {"bound", std::string(schedule::boundName(c.time.bound))}});
  for (const schedule::RefusedTiling &refused : question.refused)
    json["refused"].push_back({{"tiling", wordsOf(refused)}, {"why", refused.why}});
  return json;
}

} // namespace oriel::tune
