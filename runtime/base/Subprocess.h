// Runs a program and waits for it, with a deadline. No shell: arguments are passed as they are.
#ifndef ORIEL_RUNTIME_BASE_SUBPROCESS_H
#define ORIEL_RUNTIME_BASE_SUBPROCESS_H

#include "runtime/base/Clock.h"

#include "absl/status/statusor.h"

#include <string>
#include <vector>

namespace oriel::runtime {

struct ProcessResult {
  int exitStatus = 0; // of a program that ended by itself; 128 + signal of one that was killed
  std::string standardOutput;
  std::string standardError;
};

/// Starts `arguments[0]` (searched in PATH unless it has a slash) and collects its output. A non-zero exit status is a
/// result, not an error. A program of which this one, or the calling thread, is killed gets SIGTERM.
/// Errors: NotFound when the program cannot be started; DeadlineExceeded (the child is killed).
absl::StatusOr<ProcessResult> runProcess(const std::vector<std::string> &arguments, Deadline deadline);

/// The absolute path of a program that lies beside the running executable, e.g. "orielc" for oriel; the environment
/// variable `overrideVariable` (if set and not empty) wins. NotFound when there is no such executable file.
absl::StatusOr<std::string> findSiblingProgram(const std::string &name, const char *overrideVariable);

} // namespace oriel::runtime

#endif
