// The progress bar and its plain twin.
#include "trainer/metrics/Progress.h"

#include "runtime/base/Clock.h"

#include "fmt/format.h"

#include <algorithm>
#include <cmath>
#include <sys/ioctl.h>
#include <unistd.h>

namespace oriel::trainer {
namespace {

constexpr double redrawSeconds = 0.1;
constexpr int wideColumns = 120; // room for a wide line and a bar

std::string rateText(double perSecond) {
  if (perSecond >= 1e6)
    return fmt::format("{:.2f}M", perSecond / 1e6);
  return perSecond >= 1e4 ? fmt::format("{:.1f}k", perSecond / 1e3) : fmt::format("{:.0f}", perSecond);
}

int terminalColumns(std::FILE *out) {
  winsize size{};
  return ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

} // namespace

std::string formatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0)
    return "?";
  const int64_t total = std::llround(seconds), days = total / 86400, hours = total / 3600 % 24,
                minutes = total / 60 % 60;
  if (days > 0)
    return fmt::format("{} d {:02}:{:02}", days, hours, minutes);
  if (hours > 0)
    return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

std::string formatStep(const StepReport &report, int64_t totalSteps, double secondsLeft, bool wide) {
  std::string line = fmt::format("step {}/{}  loss {:.4f}", report.step, totalSteps, report.loss);
  if (wide)
    line += fmt::format("  grad norm {:.3g}  lr {:.2e}", report.gradNorm, report.learningRate);
  line += fmt::format("  {} tok/s", rateText(report.tokensPerSecond));
  if (report.mfu)
    line += fmt::format("  MFU {:.1f} %", *report.mfu * 100);
  return line + fmt::format("  ETA {}", formatDuration(secondsLeft));
}

Progress::Progress(int64_t firstStep, int64_t totalSteps, std::FILE *out, double lineEvery)
    : firstStep_(firstStep), totalSteps_(totalSteps), out_(out), terminal_(::isatty(::fileno(out)) == 1),
      lineEvery_(lineEvery), started_(runtime::monotonicSeconds()) {}

Progress::~Progress() { finish(); }

void Progress::update(const StepReport &report) {
  const double now = runtime::monotonicSeconds();
  const int64_t done = report.step - firstStep_;
  const double secondsLeft =
      done > 0 ? (now - started_) / static_cast<double>(done) * static_cast<double>(totalSteps_ - report.step) : NAN;
  const bool wide = !terminal_ || terminalColumns(out_) >= wideColumns;
  const std::string text = formatStep(report, totalSteps_, secondsLeft, wide);
  const bool last = report.step >= totalSteps_;
  if (!last && now - lastShown_ < (terminal_ ? redrawSeconds : lineEvery_))
    return;
  lastShown_ = now;
  if (!terminal_) {
    fmt::print(out_, "{}\n", text);
    std::fflush(out_);
    return;
  }
  const int room = terminalColumns(out_) - static_cast<int>(text.size()) - 5;
  std::string bar;
  if (room >= 8) {
    const int width = std::min(room, 40);
    const double fraction = totalSteps_ > 0 ? static_cast<double>(report.step) / static_cast<double>(totalSteps_) : 1.0;
    const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
    bar = fmt::format("[{}{}] ", std::string(static_cast<size_t>(filled), '='),
                      std::string(static_cast<size_t>(width - filled), ' '));
  }
  draw(bar + text);
}

void Progress::draw(const std::string &line) {
  // Carriage return and "erase to the end of the line": what was longer before does not shine through.
  fmt::print(out_, "\r{}\x1b[K", line);
  std::fflush(out_);
  shown_ = line;
}

void Progress::note(const std::string &line) {
  if (!terminal_) {
    fmt::print(out_, "{}\n", line);
    std::fflush(out_);
    return;
  }
  fmt::print(out_, "\r\x1b[K{}\n", line);
  if (!shown_.empty())
    draw(shown_);
  std::fflush(out_);
}

void Progress::finish() {
  if (terminal_ && !shown_.empty())
    fmt::print(out_, "\n");
  shown_.clear();
  std::fflush(out_);
}

} // namespace oriel::trainer
