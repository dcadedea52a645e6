#include "trainer/commands/Ranks.h"

#include "runtime/base/Log.h"
#include "runtime/base/Status.h"
#include "trainer/commands/Commands.h"
#include "trainer/loop/Agreement.h"

#include "absl/strings/cord.h"

#include <fmt/format.h>

#include <cstdio>
#include <unistd.h>

namespace oriel::trainer {
namespace {

constexpr char kSilentPayload[] = "oriel/told";

} // namespace

absl::StatusOr<std::unique_ptr<runtime::Communicator>> startRanks() {
  ORIEL_ASSIGN_OR_RETURN(auto communicator, runtime::createWorldCommunicator());
  runtime::initLogging(communicator->size() > 1 ? communicator->rank() : -1);
  return communicator;
}

absl::StatusOr<std::unique_ptr<runtime::Communicator>> startAlone(const char *command) {
  ORIEL_ASSIGN_OR_RETURN(auto communicator, startRanks());
  if (communicator->size() > 1) {
    absl::Status status =
        absl::InvalidArgumentError(fmt::format("oriel {} runs in one process: leave out mpirun", command));
    return endRanks(asAgreed(status), *communicator);
  }
  return communicator;
}

absl::Status endRanks(const absl::Status &status, const runtime::Communicator &communicator) {
  if (status.ok() || communicator.size() == 1)
    return status;
  if (!isAgreed(status))
    leaveAtOnce(status);
  // Told here and not by main: the ranks meet once more when the communicator is destroyed, and after that the first to exit
  // makes mpirun end the others.
  if (communicator.rank() == 0)
    report(status);
  absl::Status silent = status;
  silent.SetPayload(kSilentPayload, absl::Cord("1"));
  return silent;
}

void leaveAtOnce(const absl::Status &reason) {
  int code = report(reason);
  std::fflush(nullptr);
  _exit(code);
}

int report(const absl::Status &status) {
  if (!status.ok() && !status.GetPayload(kSilentPayload))
    fmt::print(stderr, "oriel: {}\n", std::string(status.message()));
  return runtime::exitCode(status);
}

} // namespace oriel::trainer
