// Rules of membership and commit. Nothing here knows gRPC or the wall clock.
#include "runtime/coordinator/Membership.h"

#include <fmt/format.h>

#include <random>

namespace oriel::runtime {
namespace {

constexpr size_t kRememberedBallots = 8;

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::string newSession(int rank) {
  std::random_device device;
  return fmt::format("{}-{:08x}{:08x}", rank, device(), device());
}

// Compares in time that does not depend on where the strings differ.
bool sameSecret(const std::string &a, const std::string &b) {
  unsigned difference = a.size() != b.size();
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  return difference == 0;
}

absl::Status differs(const char *what, const std::string &job, const std::string &caller, int rank) {
  return absl::FailedPreconditionError(
      fmt::format("rank {} cannot join: its {} is '{}' but the job's is '{}'", rank, what, caller, job));
}

} // namespace

Membership::Membership(const CoordinatorOptions &options, Clock clock)
    : options_(options), clock_(std::move(clock)), identity_(options.identity) {}

absl::Status Membership::admit(const JobIdentity &caller, int rank, const std::string &nonce) {
  if (!sameSecret(caller.jobToken, identity_.jobToken))
    return absl::UnauthenticatedError("wrong job token");
  if (nonce.empty())
    return absl::InvalidArgumentError("a join needs a nonce");
  if (!identity_.buildId.empty() && caller.buildId != identity_.buildId)
    return differs("build id", identity_.buildId, caller.buildId, rank);
  if (!identity_.planFingerprint.empty() && caller.planFingerprint != identity_.planFingerprint)
    return differs("plan fingerprint", identity_.planFingerprint, caller.planFingerprint, rank);
  if (!identity_.runId.empty() && caller.runId != identity_.runId)
    return differs("run id", identity_.runId, caller.runId, rank);
  if (identity_.world != 0 && caller.world != identity_.world)
    return differs("world size", fmt::to_string(identity_.world), fmt::to_string(caller.world), rank);
  if (caller.world < 1 || rank < 0 || rank >= caller.world)
    return absl::InvalidArgumentError(fmt::format("rank {} is not in 0..{}", rank, caller.world - 1));
  auto it = members_.find(rank);
  if (it != members_.end() && it->second.nonce != nonce)
    return absl::AlreadyExistsError(fmt::format("rank {} has joined already as another process", rank));
  if (failed_)
    return absl::AbortedError(cause_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Membership::join(const JobIdentity &caller, int rank, const std::string &nonce) {
  std::lock_guard lock(mutex_);
  checkDeadlinesLocked();
  if (absl::Status status = admit(caller, rank, nonce); !status.ok()) {
    ++refusedJoins_;
    return status;
  }
  std::string token = identity_.jobToken;
  identity_ = caller; // equal to what was fixed; fills what was open
  identity_.jobToken = std::move(token);
  if (members_.empty())
    firstJoin_ = clock_();
  auto [it, inserted] = members_.try_emplace(rank);
  if (inserted)
    it->second = {newSession(rank), nonce, {}, clock_(), false};
  return it->second.session;
}

absl::StatusOr<int> Membership::rankOf(const std::string &session) const {
  for (const auto &[rank, member] : members_)
    if (member.session == session)
      return rank;
  return absl::UnauthenticatedError("unknown session");
}

absl::Status Membership::heartbeat(const std::string &session, const RankProgress &progress) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<int> rank = rankOf(session);
  if (!rank.ok())
    return rank.status();
  checkDeadlinesLocked();
  if (failed_)
    return absl::AbortedError(cause_);
  Member &member = members_[*rank];
  member.progress = progress;
  member.lastSeen = clock_();
  return absl::OkStatus();
}

absl::StatusOr<Membership::Ruling> Membership::vote(const std::string &session, int64_t step, bool prepared,
                                                    const std::string &reason) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<int> rank = rankOf(session);
  if (!rank.ok())
    return rank.status();
  members_[*rank].lastSeen = clock_();
  if (!ballots_.contains(step) && ballots_.size() == kRememberedBallots && step < ballots_.begin()->first)
    return absl::FailedPreconditionError(fmt::format("the commit of step {} is no longer open", step));
  Ballot &ballot = ballots_.try_emplace(step, Ballot{clock_(), {}, {}}).first->second;
  bool first = ballot.votes.try_emplace(*rank, prepared).second;
  if (first && !prepared && ballot.ruling.decision == Decision::Pending)
    ballot.ruling = {Decision::Abort, fmt::format("rank {} could not prepare step {}: {}", *rank, step, reason)};
  checkDeadlinesLocked();
  decide(step, ballot);
  Ruling ruling = ballot.ruling;
  while (ballots_.size() > kRememberedBallots)
    ballots_.erase(ballots_.begin());
  return ruling;
}

void Membership::decide(int64_t step, Ballot &ballot) {
  if (ballot.ruling.decision != Decision::Pending)
    return;
  if (failed_) {
    ballot.ruling = {Decision::Abort, cause_};
  } else if (everyoneJoined() && static_cast<int>(ballot.votes.size()) == identity_.world) {
    ballot.ruling = {Decision::Commit, ""};
    committedStep_ = std::max(committedStep_, step);
  } else if (clock_() - ballot.opened > options_.voteTimeout) {
    std::string absent;
    for (int rank = 0; rank < identity_.world; ++rank)
      if (!ballot.votes.contains(rank))
        absent += fmt::format("{}{}", absent.empty() ? "" : ", ", rank);
    ballot.ruling = {Decision::Abort, fmt::format("no vote on step {} from rank {} within {:.1f} s", step, absent,
                                                  seconds(options_.voteTimeout))};
  }
}

absl::Status Membership::leave(const std::string &session, bool ok, const std::string &reason) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<int> rank = rankOf(session);
  if (!rank.ok())
    return rank.status();
  Member &member = members_[*rank];
  if (member.left)
    return absl::OkStatus();
  member.left = true;
  member.lastSeen = clock_();
  if (!ok)
    fail(fmt::format("rank {} failed at step {}: {}", *rank, member.progress.step, reason));
  return absl::OkStatus();
}

void Membership::checkDeadlines() {
  std::lock_guard lock(mutex_);
  checkDeadlinesLocked();
}

void Membership::checkDeadlinesLocked() {
  if (failed_ || members_.empty())
    return;
  TimePoint now = clock_();
  for (const auto &[rank, member] : members_)
    if (!member.left && now - member.lastSeen > options_.heartbeatTimeout)
      return fail(fmt::format("rank {} missed its heartbeats for {:.1f} s (last seen at step {})", rank,
                              seconds(now - member.lastSeen), member.progress.step));
  if (!everyoneJoined() && now - firstJoin_ > options_.joinTimeout)
    return fail(fmt::format("only {} of {} ranks joined within {:.1f} s", members_.size(), identity_.world,
                            seconds(options_.joinTimeout)));
  for (auto &[step, ballot] : ballots_)
    decide(step, ballot);
}

void Membership::fail(const std::string &cause) {
  if (failed_)
    return; // the first cause is the one to tell
  failed_ = true;
  cause_ = cause;
  for (auto &[step, ballot] : ballots_)
    decide(step, ballot);
}

std::string Membership::phase() const {
  if (failed_)
    return "failed";
  if (members_.empty() || !everyoneJoined())
    return "joining";
  for (const auto &[rank, member] : members_)
    if (!member.left)
      return "running";
  return "finished";
}

JobStatus Membership::status() const {
  std::lock_guard lock(mutex_);
  JobStatus result{phase(), cause_, identity_, committedStep_, refusedJoins_, {}};
  result.identity.jobToken.clear();
  TimePoint now = clock_();
  for (const auto &[rank, member] : members_) {
    bool missing = !member.left && now - member.lastSeen > options_.heartbeatTimeout;
    result.ranks.push_back({rank,
                            member.left ? "left"
                            : missing   ? "missing"
                                        : "running",
                            member.progress, seconds(now - member.lastSeen)});
  }
  return result;
}

} // namespace oriel::runtime
