#include "trainer/loop/Failpoint.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

namespace oriel::trainer {

absl::Status failpoint(absl::string_view phase, int rank, int64_t step) {
  const char *variable = std::getenv("ORIEL_FAIL");
  if (!variable || !*variable)
    return absl::OkStatus();
  std::vector<std::string> parts = absl::StrSplit(variable, ':');
  int wantedRank = 0;
  int64_t wantedStep = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[1], &wantedRank) || !absl::SimpleAtoi(parts[2], &wantedStep))
    return absl::InvalidArgumentError(fmt::format("ORIEL_FAIL='{}' is not phase:rank:step:action", variable));
  if (parts[0] != phase || wantedRank != rank || wantedStep != step)
    return absl::OkStatus();
  if (parts[3] == "kill")
    std::raise(SIGKILL);
  else if (parts[3] == "stop")
    std::raise(SIGSTOP);
  else if (parts[3] == "term")
    return std::raise(SIGTERM), absl::OkStatus();
  else if (parts[3] != "error")
    return absl::InvalidArgumentError(fmt::format("ORIEL_FAIL: unknown action '{}'", parts[3]));
  return absl::InternalError(fmt::format("failpoint {} of step {}", std::string(phase), step));
}

} // namespace oriel::trainer
