#include "trainer/loop/StopSignal.h"

#include <atomic>
#include <csignal>

namespace oriel::trainer {
namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void onSignal(int number) {
  if (requested.exchange(true) && number != SIGUSR1) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

} // namespace

void catchStopSignals() {
  struct sigaction action {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int number : {SIGTERM, SIGINT, SIGUSR1})
    sigaction(number, &action, nullptr);
}

bool stopRequested() { return requested.load(); }
void clearStopRequest() { requested.store(false); }

} // namespace oriel::trainer
