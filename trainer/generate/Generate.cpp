#include "trainer/generate/Generate.h"

#include "runtime/base/Status.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::trainer {
namespace {

// The last T tokens into row 0 of the IO buffers; what follows them is padding that causality keeps out of sight.
void fillContext(ModelState &state, std::span<const int32_t> context, int32_t endOfDocument) {
  std::fill(state.tokens.begin(), state.tokens.end(), 0);
  std::fill(state.docStart.begin(), state.docStart.end(), 0);
  std::fill(state.position.begin(), state.position.end(), 0);
  int32_t start = 0;
  for (size_t t = 0; t < context.size(); ++t) {
    state.tokens[t] = context[t];
    state.docStart[t] = start;
    if (context[t] == endOfDocument)
      start = static_cast<int32_t>(t) + 1;
  }
  std::fill(state.docStart.begin() + static_cast<int64_t>(context.size()),
            state.docStart.begin() + state.plan().tokens(), state.docStart[context.size() - 1]);
  state.position[0] = static_cast<int32_t>(context.size()) - 1;
}

} // namespace

absl::StatusOr<std::vector<int32_t>> generate(ModelState &state, std::span<const int32_t> prompt, int64_t count,
                                              const SamplingOptions &options, int32_t vocab, int32_t endOfDocument,
                                              const std::function<void(int32_t)> &onToken) {
  if (!state.executor().hasEntry("logits"))
    return absl::FailedPreconditionError("the package has no entry point 'logits'");
  if (prompt.empty())
    return absl::InvalidArgumentError("generation needs at least one token to continue");
  for (int32_t id : prompt)
    if (id < 0 || id >= state.plan().vocab())
      return absl::InvalidArgumentError(
          fmt::format("prompt token {} is outside the model's vocabulary of {}", id, state.plan().vocab()));
  std::vector<int32_t> all(prompt.begin(), prompt.end());
  size_t window = static_cast<size_t>(state.plan().tokens());
  for (int64_t draw = 0; draw < count; ++draw) {
    std::span<const int32_t> context(all);
    fillContext(state, context.last(std::min(context.size(), window)), endOfDocument);
    ORIEL_RETURN_IF_ERROR(state.executor().run("logits"));
    int32_t next = sampleToken(state.logits.first(vocab), options, static_cast<uint64_t>(draw));
    all.push_back(next);
    if (onToken)
      onToken(next);
    if (next == endOfDocument)
      break;
  }
  return std::vector<int32_t>(all.begin() + static_cast<int64_t>(prompt.size()), all.end());
}

} // namespace oriel::trainer
