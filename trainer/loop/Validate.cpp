#include "trainer/loop/Validate.h"

#include "runtime/base/Status.h"
#include "trainer/loop/MicroBatchTree.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace oriel::trainer {
namespace {

// What one rank sends: the losses of its micro-batches and the bytes of text they predict.
struct Share {
  std::vector<double> losses;
  int64_t bytes = 0;

  std::string encode() const {
    std::string out(sizeof bytes + losses.size() * sizeof(double), '\0');
    std::memcpy(out.data(), &bytes, sizeof bytes);
    std::memcpy(out.data() + sizeof bytes, losses.data(), losses.size() * sizeof(double));
    return out;
  }
  void append(const std::string &message) {
    int64_t count = 0;
    std::memcpy(&count, message.data(), sizeof count);
    bytes += count;
    size_t old = losses.size(), more = (message.size() - sizeof count) / sizeof(double);
    losses.resize(old + more);
    std::memcpy(losses.data() + old, message.data() + sizeof count, more * sizeof(double));
  }
};

absl::StatusOr<Share> runShare(ModelState &state, const PackedDataset &data, int64_t first, int64_t last,
                               const Tokenizer *tokenizer, const std::function<void(const char *)> &beat) {
  Share share;
  int64_t rows = state.plan().batch();
  for (int64_t batch = first; batch < last; ++batch) {
    beat("eval");
    ORIEL_RETURN_IF_ERROR(data.fillRows(batch * rows, rows, state.tokens, state.targetTokens, state.docStart));
    if (tokenizer)
      share.bytes += static_cast<int64_t>(tokenizer->decode(state.targetTokens).size());
    ORIEL_RETURN_IF_ERROR(state.executor().run("eval"));
    share.losses.push_back(state.loss[0]);
  }
  return share;
}

} // namespace

absl::StatusOr<ValidationResult> validate(ModelState &state, const PackedDataset &data, int64_t batches,
                                          const Tokenizer *tokenizer, runtime::Communicator &communicator,
                                          double deadlineSeconds, const std::function<void(const char *)> &beat) {
  if (!state.executor().hasEntry("eval"))
    return absl::FailedPreconditionError("the package has no entry point 'eval'");
  int64_t whole = data.rowsPerEpoch() / state.plan().batch();
  int64_t count = batches > 0 ? std::min(batches, whole) : whole;
  if (count == 0)
    return absl::InvalidArgumentError(fmt::format("{}: {} rows of {} tokens are less than one micro-batch of {} rows",
                                                  data.file().binPath(), data.rowsPerEpoch(), data.rowTokens(),
                                                  state.plan().batch()));
  int64_t world = communicator.size(), rank = communicator.rank();
  ORIEL_ASSIGN_OR_RETURN(Share mine,
                         runShare(state, data, count * rank / world, count * (rank + 1) / world, tokenizer, beat));
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> messages,
                         communicator.allGatherBytes(mine.encode(), runtime::Deadline::after(deadlineSeconds)));
  Share all;
  for (const std::string &message : messages)
    all.append(message);
  ValidationResult result;
  result.nats = treeSum(all.losses);
  result.tokens = count * state.plan().batch() * state.plan().tokens();
  result.bytes = all.bytes;
  if (!std::isfinite(result.nats))
    return absl::DataLossError(fmt::format("{}: the validation loss is {}", data.file().binPath(), result.nats));
  return result;
}

} // namespace oriel::trainer
