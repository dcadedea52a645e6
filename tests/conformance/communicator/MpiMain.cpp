// The suite as a program for mpirun. `--late-rank N` and `--lost-rank N` instead check that a peer that sleeps, or dies
// by SIGKILL, is named within the deadline. With `--device` before it, the same for collectives on GPU memory
// (DeviceCommunicator.h). Prints "CONFORMS" on rank 0 when all is well.
#include "tests/conformance/communicator/DeviceCommunicator.h"
#include "tests/conformance/communicator/Suite.h"

#include "runtime/base/Status.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace oriel::runtime;

/// Runs every check; ranks tell each other how it went, so that all agree on going on.
static absl::Status runSuite(Communicator &c) {
  for (const ConformanceCheck &check : conformanceChecks()) {
    absl::Status status = check.run(c);
    ORIEL_ASSIGN_OR_RETURN(auto outcomes, c.allGatherBytes(status.ok() ? "" : status.ToString(), Deadline::after(60)));
    for (size_t rank = 0; rank < outcomes.size(); ++rank)
      if (!outcomes[rank].empty())
        return absl::InternalError(absl::StrCat(check.name, " on rank ", rank, ": ", outcomes[rank]));
  }
  return absl::OkStatus();
}

/// All ranks but `absent` gather; each must name it, and later calls must fail at once.
static absl::Status expectAbsence(Communicator &c, int absent, bool dies) {
  ORIEL_RETURN_IF_ERROR(c.barrier(Deadline::after(60)));
  if (c.rank() == absent) {
    if (dies)
      std::raise(SIGKILL);
    ::sleep(4);
    return absl::OkStatus();
  }
  std::vector<float> data(static_cast<size_t>(c.size()) * 100000);
  double start = monotonicSeconds();
  absl::Status status = c.allGather(data.data(), 100000, DType::F32, Deadline::after(1));
  std::string wanted =
      absl::StrCat("(rank ", c.rank(), " of ", c.size(), ", 390.6 KiB per rank, f32): no answer from rank ", absent);
  bool named = status.code() == absl::StatusCode::kDeadlineExceeded && absl::StrContains(status.message(), wanted);
  // NCCL tells that it lost a rank, and then the host which.
  if (c.backend() == "nccl")
    named = absl::StrContains(status.message(), ", 390.6 KiB per rank, f32): NCCL: remote process exited; barrier") &&
            absl::StrContains(status.message(), absl::StrCat("no answer from rank ", absent));
  if (!named)
    return absl::InternalError(absl::StrCat("expected '", wanted, "', got ", status.ToString()));
  absl::Status next = c.barrier(Deadline::after(60));
  if (next.code() != absl::StatusCode::kUnavailable || monotonicSeconds() - start > 3)
    return absl::InternalError(absl::StrCat("the group is not broken: ", next.ToString()));
  return absl::OkStatus();
}

int main(int argc, char **argv) {
  auto communicator = createWorldCommunicator();
  if (!communicator.ok()) {
    std::fprintf(stderr, "%s\n", communicator.status().ToString().c_str());
    return 1;
  }
  Communicator *whole = communicator->get();
  std::unique_ptr<Communicator> onDevices;
  if (argc > 1 && std::strcmp(argv[1], "--device") == 0) {
    auto made = createDeviceCommunicator(*whole);
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
      return 1;
    }
    onDevices = *std::move(made);
    whole = onDevices.get();
    --argc, ++argv;
  }
  Communicator &c = *whole;
  bool absence = argc == 3;
  absl::Status status =
      absence ? expectAbsence(c, std::atoi(argv[2]), std::strcmp(argv[1], "--lost-rank") == 0) : runSuite(c);
  if (!status.ok())
    std::fprintf(stderr, "rank %d: %s\n", c.rank(), status.ToString().c_str());
  else if (c.rank() == 0 || absence)
    std::printf("CONFORMS %s rank %d of %d\n", std::string(c.backend()).c_str(), c.rank(), c.size());
  std::fflush(nullptr);
  if (absence)
    ::_exit(status.ok() ? 0 : 1);
  onDevices.reset();
  communicator->reset();
  return status.ok() ? 0 : 1;
}
