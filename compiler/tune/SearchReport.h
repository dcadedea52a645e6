// What oriel-tune search prints, for a CPU and for a GPU: the ways that it tried, and what became of them.
#ifndef ORIEL_COMPILER_TUNE_SEARCHREPORT_H
#define ORIEL_COMPILER_TUNE_SEARCHREPORT_H

#include "compiler/tune/Commands.h"
#include "compiler/tune/StepReport.h"
#include "compiler/tune/Table.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace oriel::tune {

/// `summary`, of whole lines, stands under the table of trials; `json` is all of it for programs.
std::string printSearch(Format format, const std::string &title, const Table &trials, const std::string &summary,
                        const nlohmann::ordered_json &json);

/// The ways of the mixers of a step: "layers.{0-2}.mixer: chunk 64 …; layers.3.mixer: …".
std::string choicesOf(const StepReport &report);

} // namespace oriel::tune

#endif
