// Sets up spdlog's default logger.
#include "runtime/base/Log.h"

#include "absl/strings/str_cat.h"

#include <cstdlib>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace oriel::runtime {

void initLogging(int rank, absl::string_view level) {
  auto logger = spdlog::get("oriel");
  if (!logger)
    logger = spdlog::stderr_color_mt("oriel");
  logger->set_pattern(rank < 0 ? "%H:%M:%S %^%l%$ %v" : absl::StrCat("%H:%M:%S %^%l%$ [", rank, "] %v"));
  const char *variable = std::getenv("ORIEL_LOG");
  std::string chosen(level);
  if (chosen.empty() && variable)
    chosen = variable;
  if (chosen.empty())
    chosen = rank > 0 ? "warn" : "info";
  logger->set_level(spdlog::level::from_str(chosen));
  spdlog::set_default_logger(logger);
}

} // namespace oriel::runtime
