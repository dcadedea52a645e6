// Options of command lines that count things. Only for those who parse command lines: it includes CLI11.
#ifndef ORIEL_RUNTIME_BASE_COUNTS_H
#define ORIEL_RUNTIME_BASE_COUNTS_H

#include <CLI/CLI.hpp>

namespace oriel::runtime {

/// The most that an option may count: 2^30, so that sums and products with small numbers stay far inside 64 bits.
inline constexpr int mostCounted = 1 << 30;

/// For CLI::Option::check of rows, tokens, ranks: 1 to mostCounted.
inline CLI::Validator positiveCount() { return CLI::Range(1, mostCounted, "POSITIVE"); }

/// The same where 0 stands for "all" or "none".
inline CLI::Validator countOrZero() { return CLI::Range(0, mostCounted, "NONNEGATIVE"); }

} // namespace oriel::runtime

#endif
