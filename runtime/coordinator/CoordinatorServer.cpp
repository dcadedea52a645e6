// Serves coordinator.proto: translates each RPC into one call of Membership. Holds no state of its own.
#include "runtime/base/AwakeClock.h"
#include "runtime/coordinator/Coordinator.h"
#include "runtime/coordinator/GrpcStatus.h"
#include "runtime/coordinator/Membership.h"
#include "runtime/coordinator/coordinator.grpc.pb.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <condition_variable>
#include <thread>

namespace oriel::runtime {
namespace {

constexpr int kMaxRequestBytes = 64 * 1024;
constexpr int kMaxServerThreads = 16;

RankProgress fromProto(const coordinator::Progress &progress) {
  return {progress.step(), progress.loss(), progress.tokens_per_second()};
}

class Service final : public coordinator::Coordinator::Service {
public:
  Service(const CoordinatorOptions &options, Membership &membership) : options_(options), membership_(membership) {}

  grpc::Status Join(grpc::ServerContext *, const coordinator::JoinRequest *request,
                    coordinator::JoinReply *reply) override {
    JobIdentity identity{request->build_id(), request->plan_fingerprint(), request->job_token(), request->run_id(),
                         request->world()};
    auto session = membership_.join(identity, request->rank(), request->nonce());
    if (!session.ok())
      return toGrpc(session.status());
    reply->set_session(*session);
    reply->set_heartbeat_interval_ms(options_.heartbeatInterval.count());
    reply->set_heartbeat_timeout_ms(options_.heartbeatTimeout.count());
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext *, const coordinator::HeartbeatRequest *request,
                         coordinator::HeartbeatReply *) override {
    return toGrpc(membership_.heartbeat(request->session(), fromProto(request->progress())));
  }

  grpc::Status Vote(grpc::ServerContext *, const coordinator::VoteRequest *request,
                    coordinator::VoteReply *reply) override {
    auto ruling = membership_.vote(request->session(), request->step(), request->prepared(), request->reason());
    if (!ruling.ok())
      return toGrpc(ruling.status());
    switch (ruling->decision) {
    case Membership::Decision::Pending:
      reply->set_decision(coordinator::VoteReply::PENDING);
      break;
    case Membership::Decision::Commit:
      reply->set_decision(coordinator::VoteReply::COMMIT);
      break;
    case Membership::Decision::Abort:
      reply->set_decision(coordinator::VoteReply::ABORT);
      break;
    }
    reply->set_reason(ruling->reason);
    return grpc::Status::OK;
  }

  grpc::Status Leave(grpc::ServerContext *, const coordinator::LeaveRequest *request,
                     coordinator::LeaveReply *) override {
    return toGrpc(membership_.leave(request->session(), request->ok(), request->reason()));
  }

  grpc::Status Status(grpc::ServerContext *, const coordinator::StatusRequest *,
                      coordinator::StatusReply *reply) override {
    membership_.checkDeadlines();
    JobStatus status = membership_.status();
    reply->set_phase(status.phase);
    reply->set_cause(status.cause);
    reply->set_run_id(status.identity.runId);
    reply->set_build_id(status.identity.buildId);
    reply->set_plan_fingerprint(status.identity.planFingerprint);
    reply->set_world(status.identity.world);
    reply->set_committed_step(status.committedStep);
    reply->set_refused_joins(status.refusedJoins);
    for (const RankStatus &rank : status.ranks) {
      coordinator::RankStatus *out = reply->add_ranks();
      out->set_rank(rank.rank);
      out->set_state(rank.state);
      out->mutable_progress()->set_step(rank.progress.step);
      out->mutable_progress()->set_loss(rank.progress.loss);
      out->mutable_progress()->set_tokens_per_second(rank.progress.tokensPerSecond);
      out->set_heartbeat_age_seconds(rank.heartbeatAgeSeconds);
    }
    return grpc::Status::OK;
  }

private:
  const CoordinatorOptions options_;
  Membership &membership_;
};

class GrpcServer final : public CoordinatorServer {
public:
  explicit GrpcServer(const CoordinatorOptions &options)
      : options_(options), membership_(options, [this] { return clock_.now(); }), service_(options, membership_) {}

  ~GrpcServer() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (timer_.joinable())
      timer_.join();
    if (server_)
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  }

  absl::Status listen() {
    silenceGrpcLog();
    grpc::ResourceQuota quota;
    quota.SetMaxThreads(kMaxServerThreads);
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0); // a second server on the same port must fail
    std::string wanted = fmt::format("{}:{}", options_.host, options_.port);
    builder.AddListeningPort(wanted, grpc::InsecureServerCredentials(), &boundPort_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_ || boundPort_ == 0)
      return absl::UnavailableError(fmt::format("coordinator: cannot listen on {}: the port may be taken (port 0 is any that is free)", wanted));
    timer_ = std::thread([this] { watchDeadlines(); });
    return absl::OkStatus();
  }

  std::string address() const override { return fmt::format("{}:{}", options_.host, boundPort_); }
  JobStatus status() const override { return membership_.status(); }

private:
  void watchDeadlines() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, options_.heartbeatInterval, [this] { return stopping_; }))
      membership_.checkDeadlines();
  }

  const CoordinatorOptions options_;
  AwakeClock clock_; // what others did while this process was stopped, nobody here knows
  Membership membership_;
  Service service_;
  int boundPort_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread timer_;
};

} // namespace

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::start(const CoordinatorOptions &options) {
  if (options.identity.jobToken.empty())
    return absl::InvalidArgumentError("a coordinator needs a job token");
  auto server = std::make_unique<GrpcServer>(options);
  if (absl::Status status = server->listen(); !status.ok())
    return status;
  return server;
}

} // namespace oriel::runtime
