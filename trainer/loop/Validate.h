// The validation loss: the first micro-batches of the validation set in stream order, dealt to ranks in contiguous runs
// and summed along one tree, so that it is bit-identical for any number of ranks.
#pragma once

#include "trainer/data/PackedDataset.h"
#include "trainer/state/ModelState.h"
#include "trainer/tokenizer/Tokenizer.h"

#include <functional>

namespace oriel::trainer {

struct ValidationResult {
  double nats = 0;    // sum over all predictions
  int64_t tokens = 0; // predictions
  int64_t bytes = 0;  // text bytes of the predicted tokens; 0 without a tokenizer
  double perToken() const { return tokens > 0 ? nats / static_cast<double>(tokens) : 0; }
  double perByte() const { return bytes > 0 ? nats / static_cast<double>(bytes) : 0; }
};

/// `batches`: micro-batches over all ranks (0: as many as the set fills); `tokenizer` may be null. Every rank gets the
/// same result. InvalidArgument when the set does not fill one micro-batch.
absl::StatusOr<ValidationResult> validate(ModelState &state, const PackedDataset &data, int64_t batches,
                                          const Tokenizer *tokenizer, runtime::Communicator &communicator,
                                          double deadlineSeconds, const std::function<void(const char *)> &beat);

} // namespace oriel::trainer
