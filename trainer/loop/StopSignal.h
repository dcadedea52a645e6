// A polite stop: SIGTERM, SIGINT or SIGUSR1 asks the loop to finish its step, checkpoint and exit with status 0. The
// second SIGTERM or SIGINT kills at once. (mpirun forwards SIGUSR1 to every rank; what it makes of a SIGTERM of its own is
// in README.md.)
#pragma once

namespace oriel::trainer {

/// Installs the handlers. Safe to call again.
void catchStopSignals();
/// Whether a signal came. Async-signal-safe inside, lock-free here.
bool stopRequested();
/// For tests and for a second run in one process.
void clearStopRequest();

} // namespace oriel::trainer
