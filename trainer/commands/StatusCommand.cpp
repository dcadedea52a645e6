// oriel status and oriel coordinator: a running job seen from outside, and its control plane as a process of its own.
#include "runtime/base/Counts.h"
#include "runtime/base/Log.h"
#include "runtime/base/Status.h"
#include "runtime/coordinator/Coordinator.h"
#include "trainer/commands/Commands.h"
#include "trainer/loop/StopSignal.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <thread>

namespace oriel::trainer {
namespace {

using runtime::JobStatus;

std::string describe(const JobStatus &status) {
  std::string text = fmt::format("job {} is {}: {} of {} ranks, newest checkpoint {}\n",
                                 status.identity.runId.empty() ? "(no rank yet)" : status.identity.runId, status.phase,
                                 status.ranks.size(), status.identity.world,
                                 status.committedStep < 0 ? "none" : fmt::format("step {}", status.committedStep));
  if (!status.cause.empty())
    text += fmt::format("cause: {}\n", status.cause);
  if (!status.ranks.empty())
    text += fmt::format("{:>5}  {:<8} {:>8} {:>9} {:>10} {:>14}\n", "rank", "state", "step", "loss", "tokens/s",
                        "heartbeat age");
  for (const runtime::RankStatus &rank : status.ranks)
    text +=
        fmt::format("{:>5}  {:<8} {:>8} {:>9.4f} {:>10.0f} {:>12.1f} s\n", rank.rank, rank.state, rank.progress.step,
                    rank.progress.loss, rank.progress.tokensPerSecond, rank.heartbeatAgeSeconds);
  if (status.refusedJoins > 0)
    text += fmt::format("{} joins were refused\n", status.refusedJoins);
  return text;
}

struct CoordinatorCommandOptions {
  std::string listen = "127.0.0.1:7077", token;
  runtime::CoordinatorOptions server;
};

absl::Status serve(CoordinatorCommandOptions options) {
  runtime::initLogging(-1);
  size_t colon = options.listen.rfind(':');
  options.server.host = options.listen.substr(0, colon);
  if (colon == std::string::npos || !CLI::detail::lexical_cast(options.listen.substr(colon + 1), options.server.port))
    return absl::InvalidArgumentError(fmt::format("--listen {} is not HOST:PORT", options.listen));
  const char *variable = std::getenv("ORIEL_JOB_TOKEN");
  options.server.identity.jobToken = !options.token.empty() ? options.token : variable ? variable : "";
  if (options.server.identity.jobToken.empty())
    return absl::InvalidArgumentError("a coordinator needs a job token: set ORIEL_JOB_TOKEN or --token");
  ORIEL_ASSIGN_OR_RETURN(auto server, runtime::CoordinatorServer::start(options.server));
  catchStopSignals();
  fmt::print("coordinator at {}\n", server->address());
  std::fflush(stdout);
  JobStatus status;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    status = server->status();
  } while (!stopRequested() && status.phase != "finished" && status.phase != "failed");
  // Those still there hear the end with their next heartbeat.
  std::this_thread::sleep_for(2 * options.server.heartbeatInterval);
  fmt::print("{}", describe(server->status()));
  return status.phase == "failed" ? absl::AbortedError(status.cause) : absl::OkStatus();
}

} // namespace

void addStatusCommand(CLI::App &app, Action *action) {
  auto address = std::make_shared<std::string>();
  CLI::App *command = app.add_subcommand("status", "ranks, step, loss and tokens/s of a running job");
  command->add_option("address", *address, "HOST:PORT, as the job printed it")->required();
  command->callback([action, address] {
    *action = [address]() -> absl::Status {
      ORIEL_ASSIGN_OR_RETURN(JobStatus status, runtime::queryStatus(*address, std::chrono::seconds(5)));
      fmt::print("{}", describe(status));
      return absl::OkStatus();
    };
  });
}

void addCoordinatorCommand(CLI::App &app, Action *action) {
  auto options = std::make_shared<CoordinatorCommandOptions>();
  CLI::App *command = app.add_subcommand("coordinator", "the control plane of one job, until that job ends");
  command->add_option("--listen", options->listen, "HOST:PORT; port 0: any")->capture_default_str();
  command->add_option("--token", options->token, "secret of the job; better in the environment: ORIEL_JOB_TOKEN");
  command->add_option("--world", options->server.identity.world, "ranks expected; 0: as the first rank says")
      ->check(runtime::countOrZero());
  command->callback([action, options] { *action = [options] { return serve(*options); }; });
}

} // namespace oriel::trainer
