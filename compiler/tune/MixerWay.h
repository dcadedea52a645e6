// What a trial says of how all recurrent mixers of a model run: to people, and in a schedule file.
#ifndef ORIEL_COMPILER_TUNE_MIXERWAY_H
#define ORIEL_COMPILER_TUNE_MIXERWAY_H

#include "compiler/schedule/Problem.h"
#include "runtime/plan/plan.pb.h"

#include <string>
#include <vector>

namespace oriel::tune {

schedule::MixerWay wayOf(const plan::Decision &decision);

/// "apart", "fused with its window, key tile 32", "in two passes, apart": all but the chunk and the save interval.
std::string kernelText(const schedule::MixerWay &way);

/// "assembled by ptxas-13.0, nothing was run", or that there was no assembler.
std::string assemblerText(const std::string &assembler);

/// A file for `orielc --schedule` in which the mixers that may run so do (with any tile, where they may be fused);
/// empty when none may.
std::string scheduleText(const schedule::Problem &problem, const schedule::MixerWay &way);

/// Up to `most` ways of the problem's mixers, fastest in prediction first: every chunk in both forms, then the save
/// intervals of the fastest.
std::vector<schedule::MixerWay> waysToTry(const schedule::Problem &problem, size_t most);

} // namespace oriel::tune

#endif
