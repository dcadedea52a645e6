// `oriel verify [--dtype f32|bf16] [--target cpu|nvidia-emulated|cuda] CASE...`: golden cases through the compiler and
// the runtime.
//
// Prints one line per tensor: case, tensor, largest error, relative error, tolerance, ok or FAIL. The returned status
// is OK when every tensor is; InvalidArgument (exit 2) for bad usage or a malformed file, before anything is run;
// another error (exit 1) when a tensor fails or a case cannot be compiled or run. On a CPU such a case ends the run; on
// other targets it gets a line with the reason, and the next one is tried.
//
// With `check` the emulator checks every access to memory (runtime/device/cuda/emulated/README.md). What it finds is
// printed and fails the case; else a line for each kernel tells its traffic and its conflicts.
//
// NVIDIA's kernels round f32 operands of most products to tf32, so tolerances below 1e-3 are raised to it there.
#ifndef ORIEL_TRAINER_VERIFY_VERIFYCOMMAND_H
#define ORIEL_TRAINER_VERIFY_VERIFYCOMMAND_H

#include "absl/status/status.h"

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace oriel::trainer {

struct VerifyOptions {
  std::vector<std::string> cases; // paths of safetensors files
  std::string dtype = "f32";
  std::string target = "cpu"; // or "nvidia-emulated", "cuda"
  std::string chip = "sm_80"; // of the other two
  uint64_t seed = 1;          // of the emulator: the order of threads
  int threads = 0;            // 0: all cores
  bool check = false;         // nvidia-emulated: check every access to memory, and print what it costs
  std::string keep;           // folder for the texts and packages; empty: a temporary one that is removed
  bool compileOnly = false;   // leave packages in `keep`, run nothing
  std::string prebuilt;       // run the packages that a former run left in its `keep`: needs no compiler
};

/// InvalidArgument also when compileOnly has no `keep`, both folders are given, or `check` on another target.
absl::Status verify(const VerifyOptions &options, std::ostream &out);

/// Adds the sub-command `verify`. Parsing a command line that names it sets `*action`; the tool runs that after parsing
/// and turns the status into an exit code.
void addVerifyCommand(CLI::App &app, std::function<absl::Status()> *action);

} // namespace oriel::trainer

#endif
