// How the kernels of a GPU are tiled: a question of each kernel alone, answered before the step's problem is solved.
// That is exact: tiles change the time of their kernel and nothing that the rest of the step sees, so the fastest tiles
// of each kernel are those of the fastest step.
//
//   given     tilings of one kernel with their predicted times, as far as its code is planned: registers for tiles
//   alone,
//             so that no time is too long; the kernel's own comes first
//   choose    one that an assembler accepts
//   objective least predicted time. A rival must beat the kernel's own by `tilingMargin`: predictions are no finer.
#ifndef ORIEL_COMPILER_SCHEDULE_TILING_H
#define ORIEL_COMPILER_SCHEDULE_TILING_H

#include "compiler/schedule/Cost.h"

#include <compare>
#include <functional>
#include <string>
#include <vector>

namespace oriel::schedule {

struct Tiling {
  int64_t rows = 0, columns = 0; // of a block of scores: queries and keys; of linear attention 0, and columns of values
  int64_t warps = 0, stages = 0; // of a block; iterations of its loops that are under way at one time
  auto operator<=>(const Tiling &) const = default;
};

/// "rows 64 columns 128 warps 8 stages 3".
std::string wordsOf(const Tiling &tiling);

struct TilingCandidate : Tiling {
  int64_t registers = 0; // of a thread: for tiles alone, or, where it was assembled, all
  int64_t sharedBytes = 0;
  bool assembled = false;
  Estimate time = {}; // of one run
  bool operator==(const TilingCandidate &) const = default;
};

struct RefusedTiling : Tiling {
  std::string why; // words
  bool operator==(const RefusedTiling &) const = default;
};

/// The tiles of one kernel.
struct TilingQuestion {
  std::string kernel;                      // its symbol with its own tiles
  std::vector<std::string> ops;            // paths of the ops that run it
  std::string way;                         // of the recurrent mixers among them (chunkWordsOf); else empty
  std::vector<TilingCandidate> candidates; // the kernel's own first; once answered, the answer first
  std::vector<RefusedTiling> refused;      // for people
  bool isGiven = false;                    // a person's tiles are the one candidate
  bool operator==(const TilingQuestion &) const = default;
};

inline constexpr double tilingMargin = 0.03;
/// Assemblies that one question is worth.
inline constexpr size_t mostAssembledTilings = 4;

/// What an assembler says of candidate `i`: fills it in, or returns why it refuses it.
using AssembleTiling = std::function<std::string(size_t i)>;

/// Assembles the fastest in prediction until that is one that was assembled: no other can be faster. What is refused
/// leaves the candidates, and so do those that plan no fewer registers for as many warps. The answer goes first, the
/// others behind it by their time. After `mostAssembledTilings` the answer is the fastest that was accepted; if there
/// is none, it is the kernel's own, as without an assembler.
void solveTiling(TilingQuestion &question, const AssembleTiling &assemble);

} // namespace oriel::schedule

#endif
