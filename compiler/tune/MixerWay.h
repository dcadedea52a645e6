// What a trial says of how all recurrent mixers of a model run: to people, and in a schedule file.
#ifndef ORIEL_COMPILER_TUNE_MIXERWAY_H
#define ORIEL_COMPILER_TUNE_MIXERWAY_H

#include "compiler/schedule/Problem.h"
#include "runtime/plan/plan.pb.h"

namespace oriel::tune {

schedule::MixerWay wayOf(const plan::Decision &decision);

/// "apart", "fused with its window, key tile 32", "in two passes, apart": all but the chunk and the save interval.
std::string kernelText(const schedule::MixerWay &way);

/// A file for `orielc --schedule` in which the mixers that may run so do (with any tile, where they may be fused);
/// empty when none may.
std::string scheduleText(const schedule::Problem &problem, const schedule::MixerWay &way);

} // namespace oriel::tune

#endif
