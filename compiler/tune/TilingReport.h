// What was decided for the tiles of one kernel of a GPU, against the rivals, with the terms of their predicted times.
#ifndef ORIEL_COMPILER_TUNE_TILINGREPORT_H
#define ORIEL_COMPILER_TUNE_TILINGREPORT_H

#include "compiler/schedule/Tiling.h"
#include "compiler/tune/Table.h"

#include <nlohmann/json_fwd.hpp>

namespace oriel::tune {

/// "tiles, given by hand", or how many were beaten.
std::string tilingTitle(const schedule::TilingQuestion &question);
/// The chosen tiling and, by their time, `most` others.
Table tilingTable(const schedule::TilingQuestion &question, size_t most);
/// One line for each tiling that an assembler refused; empty when there is none.
std::string refusedTilings(const schedule::TilingQuestion &question);
nlohmann::ordered_json tilingJson(const schedule::TilingQuestion &question);

} // namespace oriel::tune

#endif
