// Laws between the options of one layer.
#ifndef ORIEL_COMPILER_FRONTEND_LAYERCHECKS_H
#define ORIEL_COMPILER_FRONTEND_LAYERCHECKS_H

#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Model.h"

#include <map>
#include <string_view>

namespace oriel::frontend {

/// Where the options of a use were given; those left to their defaults are missing.
using OptionRanges = std::map<std::string_view, SourceRange>;

/// False, with errors, when options that are each fine alone contradict each other.
bool checkLayer(const LayerUse &layer, const OptionRanges &ranges, Diagnostics &diagnostics);

} // namespace oriel::frontend

#endif
