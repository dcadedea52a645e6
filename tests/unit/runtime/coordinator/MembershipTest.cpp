// Tests that the coordinator's rules hold on a hand-moved clock: who may join, who is missing, what is committed.
#include "runtime/coordinator/Membership.h"

#include <gtest/gtest.h>

namespace oriel::runtime {
namespace {

using namespace std::chrono_literals;
using testing::Test;
using Decision = Membership::Decision;

struct MembershipTest : Test {
  std::chrono::steady_clock::time_point now{};
  JobIdentity identity{"build-1", "plan-1", "token", "run-1", 2};
  CoordinatorOptions options = [this] {
    CoordinatorOptions o;
    o.identity = identity;
    o.heartbeatTimeout = 5s;
    o.joinTimeout = 60s;
    o.voteTimeout = 20s;
    return o;
  }();
  Membership membership{options, [this] { return now; }};

  std::string joined(int rank) {
    auto session = membership.join(identity, rank, "nonce-" + std::to_string(rank));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *session : "";
  }
  absl::Status refusal(JobIdentity caller, int rank = 0) { return membership.join(caller, rank, "n").status(); }
};

TEST_F(MembershipTest, RefusesAWrongTokenWithoutTellingTheJob) {
  JobIdentity stranger = identity;
  stranger.jobToken = "tokem";
  stranger.buildId = "other";
  absl::Status status = refusal(stranger);
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_EQ(status.message().find("build-1"), std::string::npos);
  EXPECT_EQ(membership.status().refusedJoins, 1);
  EXPECT_TRUE(membership.status().ranks.empty());
}

TEST_F(MembershipTest, NamesBothValuesOfAMismatch) {
  struct Case {
    const char *what;
    JobIdentity caller;
    const char *theirs, *ours;
  } cases[] = {{"build id", {"build-2", "plan-1", "token", "run-1", 2}, "build-2", "build-1"},
               {"plan fingerprint", {"build-1", "plan-2", "token", "run-1", 2}, "plan-2", "plan-1"},
               {"run id", {"build-1", "plan-1", "token", "run-2", 2}, "run-2", "run-1"},
               {"world size", {"build-1", "plan-1", "token", "run-1", 4}, "'4'", "'2'"}};
  for (const Case &c : cases) {
    absl::Status status = refusal(c.caller);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    for (const char *part : {c.what, c.theirs, c.ours})
      EXPECT_NE(status.message().find(part), std::string::npos) << status << " lacks " << part;
  }
}

TEST_F(MembershipTest, RefusesRanksOutsideTheWorldAndEmptyNonces) {
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(identity, 2)));
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(identity, -1)));
  EXPECT_TRUE(absl::IsInvalidArgument(membership.join(identity, 0, "").status()));
}

TEST_F(MembershipTest, RefusesADuplicateButAnswersARepeatedCall) {
  std::string session = joined(1);
  EXPECT_EQ(joined(1), session);
  EXPECT_TRUE(absl::IsAlreadyExists(membership.join(identity, 1, "another process").status()));
}

TEST_F(MembershipTest, OpenFieldsAreFixedByTheFirstRank) {
  options.identity = {"", "", "token", "", 0};
  Membership open(options, [this] { return now; });
  EXPECT_TRUE(open.join({"b", "p", "token", "r", 2}, 0, "n0").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(open.join({"b2", "p", "token", "r", 2}, 1, "n1").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(open.join({"b", "p", "token", "r", 3}, 1, "n1").status()));
  EXPECT_EQ(open.status().identity.planFingerprint, "p");
  EXPECT_TRUE(open.status().identity.jobToken.empty());
}

TEST_F(MembershipTest, ASilentRankFailsTheJobAndIsNamed) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_EQ(membership.status().phase, "running");
  EXPECT_TRUE(membership.heartbeat(one, {7, 2.5, 100}).ok());
  now += 4s;
  EXPECT_TRUE(membership.heartbeat(zero, {8, 2.4, 100}).ok());
  now += 2s;
  absl::Status status = membership.heartbeat(zero, {9, 2.3, 100});
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_NE(status.message().find("rank 1 missed its heartbeats"), std::string::npos) << status;
  EXPECT_NE(status.message().find("step 7"), std::string::npos) << status;
  EXPECT_EQ(membership.status().phase, "failed");
  EXPECT_TRUE(absl::IsAborted(membership.heartbeat(one, {}))) << "a rank that comes back late is told to leave";
}

TEST_F(MembershipTest, RanksThatDoNotComeFailTheJob) {
  std::string zero = joined(0);
  for (int i = 0; i < 15; ++i, now += 4s)
    EXPECT_TRUE(membership.heartbeat(zero, {}).ok());
  now += 1s;
  absl::Status status = membership.heartbeat(zero, {});
  EXPECT_NE(status.message().find("only 1 of 2 ranks joined"), std::string::npos) << status;
}

TEST_F(MembershipTest, AFailureReportedByARankReachesTheOthersAtOnce) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_TRUE(membership.heartbeat(one, {12, 0, 0}).ok());
  EXPECT_TRUE(membership.leave(one, false, "matmul #4: out of memory").ok());
  absl::Status status = membership.heartbeat(zero, {});
  EXPECT_EQ(status, absl::AbortedError("rank 1 failed at step 12: matmul #4: out of memory"));
  EXPECT_TRUE(absl::IsAborted(membership.join(identity, 1, "nonce-1").status()));
}

TEST_F(MembershipTest, FinishesWhenEveryoneLeft) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_TRUE(membership.leave(zero, true, "").ok());
  EXPECT_EQ(membership.status().phase, "running");
  now += 3s;
  EXPECT_TRUE(membership.heartbeat(one, {}).ok()) << "a rank that left is not missing";
  EXPECT_TRUE(membership.leave(one, true, "").ok());
  now += 100s;
  membership.checkDeadlines();
  EXPECT_EQ(membership.status().phase, "finished");
}

TEST_F(MembershipTest, StrangersHaveNoSession) {
  joined(0);
  EXPECT_TRUE(absl::IsUnauthenticated(membership.heartbeat("0-guess", {})));
  EXPECT_TRUE(absl::IsUnauthenticated(membership.vote("0-guess", 1, true, "").status()));
  EXPECT_TRUE(absl::IsUnauthenticated(membership.leave("0-guess", false, "")));
  EXPECT_EQ(membership.status().phase, "joining");
}

TEST_F(MembershipTest, CommitsWhenEveryRankVoted) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_EQ(membership.vote(zero, 10, true, "")->decision, Decision::Pending);
  EXPECT_EQ(membership.vote(zero, 10, true, "")->decision, Decision::Pending) << "one rank has one vote";
  EXPECT_EQ(membership.status().committedStep, -1);
  EXPECT_EQ(membership.vote(one, 10, true, "")->decision, Decision::Commit);
  EXPECT_EQ(membership.vote(zero, 10, false, "changed my mind")->decision, Decision::Commit);
  EXPECT_EQ(membership.status().committedStep, 10);
}

TEST_F(MembershipTest, OneNoAbortsForEveryoneAndForEver) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_EQ(membership.vote(one, 10, false, "disk full")->decision, Decision::Abort);
  Membership::Ruling ruling = *membership.vote(zero, 10, true, "");
  EXPECT_EQ(ruling.decision, Decision::Abort);
  EXPECT_EQ(ruling.reason, "rank 1 could not prepare step 10: disk full");
  EXPECT_EQ(membership.vote(one, 10, true, "")->decision, Decision::Abort);
  EXPECT_EQ(membership.vote(one, 20, true, "")->decision, Decision::Pending) << "the next step is a new ballot";
}

TEST_F(MembershipTest, AMissingVoteAborts) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_EQ(membership.vote(zero, 10, true, "")->decision, Decision::Pending);
  for (int i = 0; i < 6; ++i, now += 4s) {
    EXPECT_TRUE(membership.heartbeat(zero, {}).ok());
    EXPECT_TRUE(membership.heartbeat(one, {}).ok());
  }
  Membership::Ruling ruling = *membership.vote(zero, 10, true, "");
  EXPECT_EQ(ruling.decision, Decision::Abort);
  EXPECT_EQ(ruling.reason, "no vote on step 10 from rank 1 within 20.0 s");
}

TEST_F(MembershipTest, ADeadRankAbortsTheOpenBallot) {
  std::string zero = joined(0), one = joined(1);
  EXPECT_EQ(membership.vote(zero, 10, true, "")->decision, Decision::Pending);
  EXPECT_TRUE(membership.leave(one, false, "crash").ok());
  EXPECT_EQ(membership.vote(zero, 10, true, "")->decision, Decision::Abort);
}

TEST_F(MembershipTest, ForgetsOldBallotsButNeverReopensThem) {
  std::string zero = joined(0), one = joined(1);
  for (int step = 1; step <= 20; ++step) {
    EXPECT_EQ(membership.vote(zero, step, true, "")->decision, Decision::Pending);
    EXPECT_EQ(membership.vote(one, step, true, "")->decision, Decision::Commit);
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(membership.vote(zero, 1, true, "").status()));
}

} // namespace
} // namespace oriel::runtime
