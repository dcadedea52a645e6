// Tests that the rules of Membership reach clients over real sockets: codes, heartbeats, votes, floods and dead
// servers.
#include "runtime/coordinator/Coordinator.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace oriel::runtime {
namespace {

using namespace std::chrono_literals;

CoordinatorOptions fastOptions(int world) {
  CoordinatorOptions options;
  options.identity = {"build-1", "plan-1", "token", "run-1", world};
  options.heartbeatInterval = 20ms;
  options.heartbeatTimeout = 400ms;
  options.voteTimeout = 300ms;
  return options;
}

ClientOptions clientOf(const CoordinatorServer &server, int rank, int world) {
  ClientOptions options;
  options.address = server.address();
  options.identity = fastOptions(world).identity;
  options.rank = rank;
  options.joinTimeout = 2s;
  return options;
}

// Polls until `done` or five seconds passed.
template <typename Condition> bool eventually(Condition done) {
  for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
    if (done())
      return true;
  return false;
}

TEST(Coordinator, NeedsAToken) {
  EXPECT_TRUE(absl::IsInvalidArgument(CoordinatorServer::start(CoordinatorOptions()).status()));
}

TEST(Coordinator, RefusesAPortInUse) {
  auto first = *CoordinatorServer::start(fastOptions(1));
  CoordinatorOptions options = fastOptions(1);
  options.port = std::stoi(first->address().substr(first->address().find(':') + 1));
  absl::Status taken = CoordinatorServer::start(options).status();
  EXPECT_TRUE(absl::IsUnavailable(taken));
  EXPECT_NE(taken.message().find("the port may be taken"), absl::string_view::npos) << taken;
}

TEST(Coordinator, CarriesTheCodesOfARefusal) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto member = *CoordinatorClient::join(clientOf(*server, 0, 2));
  EXPECT_TRUE(absl::IsAlreadyExists(CoordinatorClient::join(clientOf(*server, 0, 2)).status()));
  ClientOptions options = clientOf(*server, 1, 2);
  options.identity.jobToken = "wrong";
  EXPECT_TRUE(absl::IsUnauthenticated(CoordinatorClient::join(options).status()));
  options = clientOf(*server, 1, 2);
  options.identity.buildId = "build-2";
  absl::Status status = CoordinatorClient::join(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.message().find("build-2"), std::string::npos);
  EXPECT_NE(status.message().find("build-1"), std::string::npos);
  EXPECT_EQ(server->status().refusedJoins, 3);
}

TEST(Coordinator, StatusShowsWhatRanksReport) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto zero = *CoordinatorClient::join(clientOf(*server, 0, 2));
  auto one = *CoordinatorClient::join(clientOf(*server, 1, 2));
  zero->report({41, 2.5, 1234});
  one->report({42, 2.25, 1235});
  ASSERT_TRUE(eventually([&] {
    auto status = queryStatus(server->address(), 1s);
    return status.ok() && status->ranks.size() == 2 && status->ranks[0].progress.step == 41 &&
           status->ranks[1].progress.step == 42;
  }));
  JobStatus status = *queryStatus(server->address(), 1s);
  EXPECT_EQ(status.phase, "running");
  EXPECT_EQ(status.ranks[1].progress.loss, 2.25);
  EXPECT_EQ(status.ranks[1].progress.tokensPerSecond, 1235);
  EXPECT_LT(status.ranks[1].heartbeatAgeSeconds, 1.0);
  EXPECT_EQ(status.identity.jobToken, "");
}

TEST(Coordinator, VotesCommitTogether) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto zero = *CoordinatorClient::join(clientOf(*server, 0, 2));
  auto one = *CoordinatorClient::join(clientOf(*server, 1, 2));
  absl::StatusOr<CommitDecision> first;
  std::thread other([&] { first = zero->vote(5, absl::OkStatus(), 5s); });
  absl::StatusOr<CommitDecision> second = one->vote(5, absl::OkStatus(), 5s);
  other.join();
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_TRUE(first->commit && second->commit);
  EXPECT_EQ(server->status().committedStep, 5);
}

TEST(Coordinator, AVoteWithoutTheOthersAborts) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto zero = *CoordinatorClient::join(clientOf(*server, 0, 2));
  auto one = *CoordinatorClient::join(clientOf(*server, 1, 2));
  auto decision = zero->vote(5, absl::OkStatus(), 5s);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_FALSE(decision->commit);
  EXPECT_NE(decision->reason.find("rank 1"), std::string::npos);
  EXPECT_TRUE(absl::IsDeadlineExceeded(zero->vote(6, absl::OkStatus(), 50ms).status()));
}

TEST(Coordinator, ADeadRankIsHeardOfByTheLiving) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto zero = *CoordinatorClient::join(clientOf(*server, 0, 2));
  auto one = *CoordinatorClient::join(clientOf(*server, 1, 2));
  EXPECT_TRUE(zero->health().ok());
  one.reset(); // as if killed: no leave
  ASSERT_TRUE(eventually([&] { return !zero->health().ok(); }));
  EXPECT_TRUE(absl::IsAborted(zero->health()));
  EXPECT_NE(zero->health().message().find("rank 1 missed its heartbeats"), std::string::npos) << zero->health();
}

TEST(Coordinator, ARankThatFailsTellsTheOthers) {
  auto server = *CoordinatorServer::start(fastOptions(2));
  auto zero = *CoordinatorClient::join(clientOf(*server, 0, 2));
  auto one = *CoordinatorClient::join(clientOf(*server, 1, 2));
  EXPECT_TRUE(one->leave(absl::InternalError("kernel #3 failed")).ok());
  ASSERT_TRUE(eventually([&] { return !zero->health().ok(); }));
  EXPECT_NE(zero->health().message().find("kernel #3 failed"), std::string::npos) << zero->health();
}

TEST(Coordinator, ADeadCoordinatorIsNoticedAfterTheGrace) {
  auto server = *CoordinatorServer::start(fastOptions(1));
  ClientOptions options = clientOf(*server, 0, 1);
  options.callTimeout = 100ms;
  options.unreachableTimeout = 300ms;
  auto client = *CoordinatorClient::join(options);
  server.reset();
  EXPECT_TRUE(client->health().ok());
  ASSERT_TRUE(eventually([&] { return !client->health().ok(); }));
  EXPECT_TRUE(absl::IsUnavailable(client->health()));
}

TEST(Coordinator, JoiningNobodyEndsAtTheDeadline) {
  ClientOptions options;
  options.address = "127.0.0.1:1";
  options.identity = fastOptions(1).identity;
  options.joinTimeout = 200ms;
  options.callTimeout = 100ms;
  auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(CoordinatorClient::join(options).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  EXPECT_FALSE(queryStatus("127.0.0.1:1", 200ms).ok());
}

TEST(Coordinator, RefusesAnOversizedRequest) {
  auto server = *CoordinatorServer::start(fastOptions(1));
  ClientOptions options = clientOf(*server, 0, 1);
  options.identity.runId = std::string(5 << 20, 'x');
  options.joinTimeout = 100ms;
  EXPECT_TRUE(absl::IsResourceExhausted(CoordinatorClient::join(options).status()));
  EXPECT_TRUE(CoordinatorClient::join(clientOf(*server, 0, 1)).ok()) << "others are served";
}

TEST(Coordinator, GarbageOnThePortDoesNoHarm) {
  auto server = *CoordinatorServer::start(fastOptions(1));
  int port = std::stoi(server->address().substr(server->address().find(':') + 1));
  for (int i = 0; i < 20; ++i) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<uint16_t>(port));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&where), sizeof where), 0);
    std::string garbage(1000 + 37 * i, static_cast<char>(i * 13));
    EXPECT_GT(send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL), 0);
    close(fd);
  }
  EXPECT_TRUE(CoordinatorClient::join(clientOf(*server, 0, 1)).ok());
}

} // namespace
} // namespace oriel::runtime
