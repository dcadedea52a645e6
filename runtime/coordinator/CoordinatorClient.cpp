// A rank's side of the control plane: one channel, a heartbeat thread, a deadline on every call.
#include "runtime/base/AwakeClock.h"
#include "runtime/coordinator/Coordinator.h"
#include "runtime/coordinator/GrpcStatus.h"
#include "runtime/coordinator/coordinator.grpc.pb.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

namespace oriel::runtime {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int kMaxReplyBytes = 1024 * 1024;

std::shared_ptr<grpc::Channel> openChannel(const std::string &address) {
  silenceGrpcLog();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0); // the job's own network only
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// gRPC deadlines are wall-clock points; a span from now is what is meant.
void setTimeout(grpc::ClientContext &context, Milliseconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

bool isTransient(const absl::Status &status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

std::string randomNonce() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

class GrpcClient final : public CoordinatorClient {
public:
  explicit GrpcClient(const ClientOptions &options)
      : options_(options), stub_(coordinator::Coordinator::NewStub(openChannel(options.address))) {}

  ~GrpcClient() override { stopHeartbeats(); }

  absl::Status joinJob() {
    coordinator::JoinRequest request;
    request.set_build_id(options_.identity.buildId);
    request.set_plan_fingerprint(options_.identity.planFingerprint);
    request.set_job_token(options_.identity.jobToken);
    request.set_run_id(options_.identity.runId);
    request.set_rank(options_.rank);
    request.set_world(options_.identity.world);
    request.set_nonce(randomNonce());
    coordinator::JoinReply reply;
    Steady::time_point giveUp = Steady::now() + options_.joinTimeout;
    absl::Status status;
    do {
      grpc::ClientContext context;
      setTimeout(context, options_.callTimeout);
      status = fromGrpc(stub_->Join(&context, request, &reply));
      if (!isTransient(status))
        break;
      std::this_thread::sleep_for(Milliseconds(50));
    } while (Steady::now() < giveUp);
    if (!status.ok())
      return absl::Status(status.code(), fmt::format("rank {}: join of {}: {}", options_.rank, options_.address,
                                                     std::string(status.message())));
    session_ = reply.session();
    interval_ = Milliseconds(std::max<int64_t>(reply.heartbeat_interval_ms(), 1));
    lastAnswer_ = clock_.now();
    heartbeats_ = std::thread([this] { sendHeartbeats(); });
    return absl::OkStatus();
  }

  void report(const RankProgress &progress) override {
    std::lock_guard lock(mutex_);
    progress_ = progress;
  }

  absl::Status health() const override {
    std::lock_guard lock(mutex_);
    return health_;
  }

  absl::StatusOr<CommitDecision> vote(int64_t step, const absl::Status &prepared, Milliseconds timeout) override {
    coordinator::VoteRequest request;
    request.set_session(session_);
    request.set_step(step);
    request.set_prepared(prepared.ok());
    request.set_reason(std::string(prepared.message()).substr(0, 4096));
    Steady::time_point giveUp = Steady::now() + timeout;
    Milliseconds pause(2);
    absl::Status last;
    while (Steady::now() < giveUp) {
      grpc::ClientContext context;
      setTimeout(context, options_.callTimeout);
      coordinator::VoteReply reply;
      last = fromGrpc(stub_->Vote(&context, request, &reply));
      if (!last.ok() && !isTransient(last))
        return last;
      if (last.ok() && reply.decision() != coordinator::VoteReply::PENDING)
        return CommitDecision{reply.decision() == coordinator::VoteReply::COMMIT, reply.reason()};
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, Milliseconds(100));
    }
    return absl::DeadlineExceededError(fmt::format("rank {}: no decision on the checkpoint of step {} within {} ms{}",
                                                   options_.rank, step, timeout.count(),
                                                   last.ok() ? "" : ": " + std::string(last.message())));
  }

  absl::Status leave(const absl::Status &outcome) override {
    sendHeartbeat(); // the last progress is what `oriel status` shows of a rank that left
    stopHeartbeats();
    coordinator::LeaveRequest request;
    request.set_session(session_);
    request.set_ok(outcome.ok());
    request.set_reason(std::string(outcome.message()).substr(0, 4096));
    coordinator::LeaveReply reply;
    grpc::ClientContext context;
    setTimeout(context, options_.callTimeout);
    return fromGrpc(stub_->Leave(&context, request, &reply));
  }

private:
  void sendHeartbeats() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
      lock.unlock();
      sendHeartbeat();
      lock.lock();
    }
  }

  void sendHeartbeat() {
    coordinator::HeartbeatRequest request;
    request.set_session(session_);
    {
      std::lock_guard lock(mutex_);
      request.mutable_progress()->set_step(progress_.step);
      request.mutable_progress()->set_loss(progress_.loss);
      request.mutable_progress()->set_tokens_per_second(progress_.tokensPerSecond);
    }
    coordinator::HeartbeatReply reply;
    grpc::ClientContext context;
    setTimeout(context, options_.callTimeout);
    absl::Status status = fromGrpc(stub_->Heartbeat(&context, request, &reply));
    std::lock_guard lock(mutex_);
    Steady::time_point now = clock_.now();
    if (status.ok())
      lastAnswer_ = now;
    else if (!isTransient(status))
      health_ = status;
    else if (now - lastAnswer_ > options_.unreachableTimeout)
      health_ = absl::UnavailableError(fmt::format("rank {}: the coordinator {} has not answered for {} ms: {}",
                                                   options_.rank, options_.address, options_.unreachableTimeout.count(),
                                                   std::string(status.message())));
  }

  void stopHeartbeats() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (heartbeats_.joinable())
      heartbeats_.join();
  }

  const ClientOptions options_;
  std::unique_ptr<coordinator::Coordinator::Stub> stub_;
  std::string session_;
  Milliseconds interval_{1000};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  RankProgress progress_;
  absl::Status health_;
  AwakeClock clock_;
  Steady::time_point lastAnswer_;
  std::thread heartbeats_;
};

JobStatus fromProto(const coordinator::StatusReply &reply) {
  JobStatus status{reply.phase(), reply.cause(), {}, reply.committed_step(), reply.refused_joins(), {}};
  status.identity = {reply.build_id(), reply.plan_fingerprint(), "", reply.run_id(), reply.world()};
  for (const coordinator::RankStatus &rank : reply.ranks())
    status.ranks.push_back({rank.rank(),
                            rank.state(),
                            {rank.progress().step(), rank.progress().loss(), rank.progress().tokens_per_second()},
                            rank.heartbeat_age_seconds()});
  return status;
}

} // namespace

absl::StatusOr<std::unique_ptr<CoordinatorClient>> CoordinatorClient::join(const ClientOptions &options) {
  auto client = std::make_unique<GrpcClient>(options);
  if (absl::Status status = client->joinJob(); !status.ok())
    return status;
  return client;
}

absl::StatusOr<JobStatus> queryStatus(const std::string &address, Milliseconds timeout) {
  auto stub = coordinator::Coordinator::NewStub(openChannel(address));
  grpc::ClientContext context;
  setTimeout(context, timeout);
  coordinator::StatusReply reply;
  absl::Status status = fromGrpc(stub->Status(&context, coordinator::StatusRequest(), &reply));
  if (!status.ok())
    return absl::Status(status.code(), fmt::format("status of {}: {}", address, std::string(status.message())));
  return fromProto(reply);
}

} // namespace oriel::runtime
