#include "trainer/loop/ControlPlane.h"

#include "runtime/base/Hash.h"
#include "runtime/base/Status.h"
#include "trainer/loop/Agreement.h"

#include "absl/strings/numbers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <random>

namespace oriel::trainer {
namespace {

constexpr double kRendezvousSeconds = 60;

// "HOST:PORT" into the options of a server.
absl::Status parseListen(const std::string &listen, runtime::CoordinatorOptions &options) {
  size_t colon = listen.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &options.port) || options.port < 0 ||
      options.port > 65535)
    return absl::InvalidArgumentError(fmt::format("distributed.listen = \"{}\" is not HOST:PORT", listen));
  options.host = listen.substr(0, colon);
  return absl::OkStatus();
}

std::string tokenOf(const Job &job) {
  if (!job.distributed().token().empty())
    return job.distributed().token();
  const char *variable = std::getenv("ORIEL_JOB_TOKEN");
  return variable ? variable : "";
}

} // namespace

std::string randomName() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

std::string buildId() {
  absl::StatusOr<std::string> hash = runtime::hashFile("/proc/self/exe");
  return fmt::format("oriel {} {}", ORIEL_VERSION, hash.ok() ? *hash : "unknown");
}

absl::StatusOr<std::string> ControlPlane::openRendezvous(const Job &job, runtime::JobIdentity identity) {
  if (!job.distributed().coordinator().empty())
    return job.distributed().coordinator() + "\n" + identity.jobToken;
  if (identity.jobToken.empty())
    identity.jobToken = randomName();
  runtime::CoordinatorOptions options;
  options.identity = identity;
  ORIEL_RETURN_IF_ERROR(parseListen(job.distributed().listen(), options));
  ORIEL_ASSIGN_OR_RETURN(server_, runtime::CoordinatorServer::start(options));
  return server_->address() + "\n" + identity.jobToken;
}

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::start(const Job &job, const std::string &runId,
                                                                  const std::string &planFingerprint,
                                                                  runtime::Communicator &communicator) {
  std::unique_ptr<ControlPlane> plane(new ControlPlane);
  runtime::JobIdentity identity{buildId(), planFingerprint, tokenOf(job), runId, communicator.size()};
  absl::StatusOr<std::string> rendezvous = std::string(); // address and token, from rank 0
  if (communicator.rank() == 0)
    rendezvous = plane->openRendezvous(job, identity);
  runtime::Deadline deadline = runtime::Deadline::after(kRendezvousSeconds);
  ORIEL_ASSIGN_OR_RETURN(std::string text, fromRankZero(communicator, rendezvous, deadline));
  size_t newline = text.find('\n');
  plane->address_ = text.substr(0, newline);
  identity.jobToken = text.substr(newline + 1);

  runtime::ClientOptions options;
  options.address = plane->address_;
  options.identity = identity;
  options.rank = communicator.rank();
  absl::StatusOr<std::unique_ptr<runtime::CoordinatorClient>> client = runtime::CoordinatorClient::join(options);
  ORIEL_RETURN_IF_ERROR(agree(communicator, client.status(), runtime::Deadline::after(kRendezvousSeconds)));
  plane->client_ = *std::move(client);
  return plane;
}

void ControlPlane::leave(const absl::Status &outcome, runtime::Communicator &communicator, double deadlineSeconds) {
  if (absl::Status status = client_->leave(outcome); !status.ok())
    spdlog::debug("leaving the coordinator: {}", std::string(status.message()));
  if (!outcome.ok())
    return;
  if (absl::Status status = communicator.barrier(runtime::Deadline::after(deadlineSeconds)); !status.ok())
    spdlog::warn("after the last step: {}", std::string(status.message()));
}

} // namespace oriel::trainer
