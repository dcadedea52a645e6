// The coordinator as one run uses it: rank 0 serves (unless the job names a standalone one), every rank joins with the
// same identity, and address and token travel by the communicator, so nobody types them.
#pragma once

#include "runtime/communicator/Communicator.h"
#include "runtime/coordinator/Coordinator.h"
#include "trainer/config/job.pb.h"

#include <memory>
#include <string>

namespace oriel::trainer {

class ControlPlane {
public:
  /// Collective. `runId` and `planFingerprint` must be the same on all ranks, or joining fails with both values.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> start(const Job &job, const std::string &runId,
                                                             const std::string &planFingerprint,
                                                             runtime::Communicator &communicator);

  /// HOST:PORT for `oriel status`.
  const std::string &address() const { return address_; }
  runtime::CoordinatorClient &client() { return *client_; }

  /// Ends membership. After an OK outcome waits (collective) for the others, so that rank 0 serves until all have left;
  /// otherwise tells the others and returns at once.
  void leave(const absl::Status &outcome, runtime::Communicator &communicator, double deadlineSeconds);

private:
  ControlPlane() = default;
  /// "HOST:PORT\nTOKEN" of the job's coordinator, started here unless the job names one.
  absl::StatusOr<std::string> openRendezvous(const Job &job, runtime::JobIdentity identity);

  std::string address_;
  std::unique_ptr<runtime::CoordinatorServer> server_; // rank 0
  std::unique_ptr<runtime::CoordinatorClient> client_; // ends before the server
};

/// Names this very executable: the version and the hash of its bytes.
std::string buildId();
/// 32 random hex digits, for tokens and run ids.
std::string randomName();

} // namespace oriel::trainer
