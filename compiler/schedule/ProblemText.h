// The text form of a schedule problem: `schedule.problem`.
//
//   file      := line*                                     # a comment goes to the end of its line
//   line      := "problem" name | "device" name | "assembler" name | "steps" int | "budget" (int | "none")
//              | "fixed" "bytes" int "seconds" number
//              | "op" name "seconds" number "scratch" int "made" int ["given" ("save" | "recompute")] ["reads" input*]
//              | "result" "bytes" int "used" int "backward" (int int | "none")
//              | "mixer" name "gradient" int               # `name` is its forward op
//              | "candidate" way "forward" number "backward" number "saved" int "scratch" int
//              | "refused" way "why" word+                 # no candidate, and why not
//              | "block" name "bytes" int "from" int "to" int
//              | "kernel" symbol ["given"] ["by" word+] "of" name+   # with its own tiles or, "given", a person's; the way of
//                                                        # the mixers, the ops that run it
//              | "tiling" tiles ("planned" | "assembled") "registers" int "shared" int "seconds" number
//                "arithmetic" number "memory" number "l2" number "latency" number "bound" word
//              | "refused_tiling" tiles "why" word+
//   way       := "chunk" int "save_every" int ("sequential" | "two_pass") ("separate" | "fused") "tile" int
//   tiles     := "rows" int "columns" int "warps" int "stages" int
//   input     := name [":" int]                            # an op above, and which result of it if not the first
//   name      := word without blanks                       # sizes are bytes, times seconds, the rest steps
// A result belongs to the op above it, a candidate to the mixer above it, a tiling to the kernel above it, whose first is
// the one that was chosen.
#ifndef ORIEL_COMPILER_SCHEDULE_PROBLEMTEXT_H
#define ORIEL_COMPILER_SCHEDULE_PROBLEMTEXT_H

#include "compiler/schedule/Problem.h"

#include <optional>
#include <string_view>

namespace oriel::schedule {

/// Reading what this wrote gives the same problem; times are written with all their digits.
std::string printProblem(const Problem &problem);

/// The problem, or nothing and `error`: "name:line:column: what was expected". The problem is checked too.
std::optional<Problem> parseProblem(std::string_view text, const std::string &name, std::string &error);

} // namespace oriel::schedule

#endif
