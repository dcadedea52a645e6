// A polite stop: SIGTERM, SIGINT or SIGUSR1 asks the loop to finish its step, checkpoint and exit with status 0. The
// second SIGTERM or SIGINT kills at once. (mpirun forwards SIGUSR1 to every rank, and kills the ranks a second after a
// SIGTERM of its own unless it runs with --mca odls_base_sigkill_timeout SECONDS.)
#pragma once

namespace oriel::trainer {

/// Installs the handlers. Safe to call again.
void catchStopSignals();
/// Whether a signal came. Async-signal-safe inside, lock-free here.
bool stopRequested();
/// For tests and for a second run in one process.
void clearStopRequest();

} // namespace oriel::trainer
