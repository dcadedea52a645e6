// The text at the end of a run. Rank 0 makes it alone, with a package for one row and one process, which `oriel
// generate` will find in the cache, and with all cores, since the other ranks only wait by then.
#pragma once

#include "trainer/config/job.pb.h"
#include "trainer/loop/RunSetup.h"

#include <functional>
#include <string>

namespace oriel::trainer {

/// What the trained model says after job.sample().prompt. `beat` is called before each token.
absl::StatusOr<std::string> sampleOfRun(const Job &job, const RunSetup &setup, const std::function<void()> &beat);

} // namespace oriel::trainer
