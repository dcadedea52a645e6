// The coordinator's state machine: members, their heartbeats, commit votes, and whether the job still lives. Pure logic
// on an injected monotonic clock, so every rule is tested without sockets or sleeping. Thread safe.
//
//   joining ──every rank joined──▶ running ──every rank left ok──▶ finished
//      └───────────── a rank is silent, leaves with an error, or does not come ─────────────▶ failed   (for ever)
#pragma once

#include "runtime/coordinator/Coordinator.h"

#include <functional>
#include <map>
#include <mutex>

namespace oriel::runtime {

class Membership {
public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  enum class Decision { Pending, Commit, Abort };
  struct Ruling {
    Decision decision = Decision::Pending;
    std::string reason;
  };

  Membership(const CoordinatorOptions &options, Clock clock);

  // Returns the session of the rank. Codes: see the Join RPC.
  absl::StatusOr<std::string> join(const JobIdentity &identity, int rank, const std::string &nonce);
  absl::Status heartbeat(const std::string &session, const RankProgress &progress);
  absl::StatusOr<Ruling> vote(const std::string &session, int64_t step, bool prepared, const std::string &reason);
  absl::Status leave(const std::string &session, bool ok, const std::string &reason);

  // Applies the timeouts. Called by the server at every RPC and between them.
  void checkDeadlines();
  JobStatus status() const;

private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Member {
    std::string session, nonce;
    RankProgress progress;
    TimePoint lastSeen;
    bool left = false;
  };
  struct Ballot {
    TimePoint opened;
    std::map<int, bool> votes;
    Ruling ruling;
  };

  absl::Status admit(const JobIdentity &identity, int rank, const std::string &nonce);
  absl::StatusOr<int> rankOf(const std::string &session) const;
  void checkDeadlinesLocked();
  void fail(const std::string &cause);
  void decide(int64_t step, Ballot &ballot);
  bool everyoneJoined() const { return static_cast<int>(members_.size()) == identity_.world; }
  std::string phase() const;

  const CoordinatorOptions options_;
  const Clock clock_;
  mutable std::mutex mutex_;
  JobIdentity identity_;
  TimePoint firstJoin_;
  std::map<int, Member> members_;
  std::map<int64_t, Ballot> ballots_; // the newest few steps
  int64_t committedStep_ = -1;
  int64_t refusedJoins_ = 0;
  bool failed_ = false;
  std::string cause_;
};

} // namespace oriel::runtime
