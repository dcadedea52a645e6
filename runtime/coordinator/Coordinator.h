// The control plane as the trainer sees it: who is a member, who lives, and whether a checkpoint is committed. The wire
// protocol and its guarantees are documented RPC by RPC in coordinator.proto; no gRPC type appears here.
//
// A job has one CoordinatorServer (in rank 0, or alone in `oriel coordinator`) and one CoordinatorClient per rank. Both
// are thread safe. All waiting is bounded by a timeout given here; time is monotonic.
#pragma once

#include "absl/status/statusor.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace oriel::runtime {

// What all ranks of a job must have in common. The server leaves a field open by leaving it empty (world: 0): the first
// rank that joins with the right token then fixes it. The token is never open.
struct JobIdentity {
  std::string buildId;
  std::string planFingerprint;
  std::string jobToken;
  std::string runId;
  int world = 0;
};

struct RankProgress {
  int64_t step = 0;
  double loss = 0;            // nats per token
  double tokensPerSecond = 0; // of the whole job
};

struct RankStatus {
  int rank = 0;
  std::string state; // "running", "left", "missing"
  RankProgress progress;
  double heartbeatAgeSeconds = 0;
};

struct JobStatus {
  std::string phase;    // "joining", "running", "finished", "failed"
  std::string cause;    // of a failure
  JobIdentity identity; // without the token
  int64_t committedStep = -1;
  int64_t refusedJoins = 0;
  std::vector<RankStatus> ranks;
};

struct CoordinatorOptions {
  std::string host = "127.0.0.1";
  int port = 0; // 0: any free port
  JobIdentity identity;
  std::chrono::milliseconds heartbeatInterval{1000};
  std::chrono::milliseconds heartbeatTimeout{15000};
  std::chrono::milliseconds joinTimeout{120000}; // from the first join until every rank is there
  std::chrono::milliseconds voteTimeout{120000}; // from the first vote of a step until its decision
};

class CoordinatorServer {
public:
  // Fails with INVALID_ARGUMENT for an empty token and UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> start(const CoordinatorOptions &options);
  virtual ~CoordinatorServer() = default; // stops serving

  virtual std::string address() const = 0; // "127.0.0.1:43121"
  virtual JobStatus status() const = 0;
};

struct ClientOptions {
  std::string address; // host:port
  JobIdentity identity;
  int rank = 0;
  std::chrono::milliseconds callTimeout{5000};         // of one RPC
  std::chrono::milliseconds joinTimeout{30000};        // joining is tried again while the server cannot be reached
  std::chrono::milliseconds unreachableTimeout{30000}; // how long a running rank goes on without its coordinator
};

struct CommitDecision {
  bool commit = false;
  std::string reason; // of an abort
};

class CoordinatorClient {
public:
  // Joins and starts sending heartbeats from a thread of its own. Fails with the codes of the Join RPC, or UNAVAILABLE
  // after joinTimeout.
  static absl::StatusOr<std::unique_ptr<CoordinatorClient>> join(const ClientOptions &options);
  virtual ~CoordinatorClient() = default; // stops the heartbeats; without leave() the job fails at the next timeout

  // What the next heartbeat says. Does not block.
  virtual void report(const RankProgress &progress) = 0;

  // OK while the job lives; ABORTED with the cause once it has failed; UNAVAILABLE when the coordinator has not
  // answered for unreachableTimeout. Does not block.
  virtual absl::Status health() const = 0;

  // Votes on the checkpoint of `step` (`prepared`: whether this rank's files are durable) and waits for the decision.
  // Every outcome that is not a decision to commit is an abort, also DEADLINE_EXCEEDED after `timeout`.
  virtual absl::StatusOr<CommitDecision> vote(int64_t step, const absl::Status &prepared,
                                              std::chrono::milliseconds timeout) = 0;

  // Ends membership; an outcome that is not OK fails the job for everyone with that message.
  virtual absl::Status leave(const absl::Status &outcome) = 0;
};

// Asks a running job how it is. Fails with UNAVAILABLE or DEADLINE_EXCEEDED.
absl::StatusOr<JobStatus> queryStatus(const std::string &address, std::chrono::milliseconds timeout);

} // namespace oriel::runtime
