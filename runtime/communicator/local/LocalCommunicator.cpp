// A meeting point per group: ranks post their call and addresses, meet, read each other's memory, and meet again before
// anyone may change what the others read.
#include "runtime/communicator/local/LocalCommunicator.h"

#include "runtime/base/Status.h"
#include "runtime/communicator/Call.h"
#include "runtime/communicator/TreeOrder.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

namespace oriel::runtime {

namespace {

class Group {
public:
  explicit Group(int size) : size_(size), posts_(size), arrivedAt_(size, 0) {}

  struct Post {
    Call call;
    void *data = nullptr;
    absl::string_view message;
  };

  int size() const { return size_; }
  /// Valid between the two meetings of a call.
  const Post &post(int rank) const { return posts_[rank]; }

  /// Posts and waits until every rank has posted; checks that all mean the same.
  absl::Status enter(int rank, const Post &post, Deadline deadline) {
    std::unique_lock lock(mutex_);
    posts_[rank] = post;
    return meet(lock, rank, deadline, /*check=*/true);
  }
  /// Waits until every rank is done with reading.
  absl::Status leave(int rank, Deadline deadline) {
    std::unique_lock lock(mutex_);
    return meet(lock, rank, deadline, /*check=*/false);
  }

private:
  absl::Status meet(std::unique_lock<std::mutex> &lock, int rank, Deadline deadline, bool check) {
    const Call &call = posts_[rank].call;
    if (!broken_.ok())
      return call.broken(broken_);
    uint64_t meeting = meeting_;
    arrivedAt_[rank] = meeting + 1;
    if (++arrived_ == size_) {
      if (check)
        broken_ = findDisagreement();
      arrived_ = 0;
      ++meeting_;
      changed_.notify_all();
      return broken_;
    }
    auto done = [&] { return meeting_ != meeting || !broken_.ok(); };
    auto left = std::chrono::duration<double>(std::min(deadline.secondsLeft(), 1e9));
    if (!changed_.wait_for(lock, left, done)) {
      broken_ = call.timedOut(missingRanks(meeting + 1), deadline);
      changed_.notify_all();
      return broken_;
    }
    // A meeting that was completed is good even if a later one has failed since.
    return meeting_ != meeting && broken_.ok() ? absl::OkStatus() : broken_;
  }

  std::vector<int> missingRanks(uint64_t meeting) const {
    std::vector<int> missing;
    for (int rank = 0; rank < size_; ++rank)
      if (arrivedAt_[rank] < meeting)
        missing.push_back(rank);
    return missing;
  }

  absl::Status findDisagreement() const {
    for (const Post &post : posts_)
      if (!post.call.agreesWith(posts_[0].call))
        return post.call.misused(absl::StrCat("rank 0 called ", posts_[0].call.describe()));
    return absl::OkStatus();
  }

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Post> posts_;
  std::vector<uint64_t> arrivedAt_; // the last meeting each rank came to
  int arrived_ = 0;
  uint64_t meeting_ = 0;
  absl::Status broken_;
};

class LocalCommunicator final : public Communicator {
public:
  LocalCommunicator(std::shared_ptr<Group> group, int rank)
      : group_(std::move(group)), rank_(rank), parts_(group_->size()) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  absl::string_view backend() const override { return "local"; }

  absl::Status allGather(void *data, int64_t count, DType dtype, Deadline deadline) override {
    int64_t bytes = count * static_cast<int64_t>(bytesOf(dtype));
    ORIEL_RETURN_IF_ERROR(group_->enter(rank_, {makeCall("all_gather", bytes, nameOf(dtype)), data, {}}, deadline));
    for (int peer = 0; peer < size(); ++peer)
      if (peer != rank_)
        std::memcpy(at(data, peer * bytes), at(group_->post(peer).data, peer * bytes), bytes);
    return group_->leave(rank_, deadline);
  }

  absl::Status reduceScatterTree(void *data, void *scratch, int64_t count, DType dtype, Deadline deadline) override {
    int64_t bytes = count * static_cast<int64_t>(bytesOf(dtype));
    Call call = makeCall("reduce_scatter_tree", bytes, nameOf(dtype));
    if (dtype != DType::F32)
      return call.misused("only f32 is summed");
    ORIEL_RETURN_IF_ERROR(group_->enter(rank_, {call, data, {}}, deadline));
    auto *mine = static_cast<float *>(at(data, rank_ * bytes));
    for (int peer = 0, received = 0; peer < size(); ++peer) {
      if (peer == rank_) {
        parts_[peer] = mine;
        continue;
      }
      parts_[peer] = static_cast<float *>(at(scratch, bytes * received++));
      std::memcpy(parts_[peer], at(group_->post(peer).data, rank_ * bytes), bytes);
    }
    addInTreeOrder(parts_, count);
    if (rank_ != 0)
      std::memcpy(mine, parts_[0], bytes);
    return group_->leave(rank_, deadline);
  }

  absl::Status broadcast(void *data, int64_t bytes, int root, Deadline deadline) override {
    Call call = makeCall("broadcast", bytes, "");
    call.root = root;
    if (root < 0 || root >= size())
      return call.misused(absl::StrCat("root is ", root));
    ORIEL_RETURN_IF_ERROR(group_->enter(rank_, {call, data, {}}, deadline));
    if (rank_ != root)
      std::memcpy(data, group_->post(root).data, bytes);
    return group_->leave(rank_, deadline);
  }

  absl::Status barrier(Deadline deadline) override {
    return group_->enter(rank_, {makeCall("barrier", 0, ""), nullptr, {}}, deadline);
  }

  absl::StatusOr<std::vector<std::string>> allGatherBytes(absl::string_view message, Deadline deadline) override {
    ORIEL_RETURN_IF_ERROR(group_->enter(rank_, {makeCall("all_gather_bytes", 0, ""), nullptr, message}, deadline));
    std::vector<std::string> messages;
    for (int peer = 0; peer < size(); ++peer)
      messages.emplace_back(group_->post(peer).message);
    ORIEL_RETURN_IF_ERROR(group_->leave(rank_, deadline));
    return messages;
  }

private:
  static void *at(void *data, int64_t bytes) { return static_cast<std::byte *>(data) + bytes; }

  Call makeCall(const char *op, int64_t bytes, const char *dtype) {
    return {op, ++sequence_, rank_, size(), bytes, dtype, 0};
  }

  std::shared_ptr<Group> group_;
  int rank_;
  uint64_t sequence_ = 0;
  std::vector<float *> parts_;
};

} // namespace

std::vector<std::unique_ptr<Communicator>> createLocalGroup(int size) {
  auto group = std::make_shared<Group>(std::max(size, 1));
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int rank = 0; rank < group->size(); ++rank)
    communicators.push_back(std::make_unique<LocalCommunicator>(group, rank));
  return communicators;
}

} // namespace oriel::runtime
