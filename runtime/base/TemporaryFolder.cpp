#include "runtime/base/TemporaryFolder.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <sys/wait.h>
#include <unistd.h>

namespace oriel::runtime {

static constexpr int kEndingSignals[] = {SIGINT, SIGTERM, SIGHUP};

/// Of a list that only grows at its head and whose entries stay, so that a signal handler can walk it at any time.
struct TemporaryFolder::Entry {
  const std::string path;
  Entry *next;
  std::atomic<bool> isThere = true;
};

std::atomic<TemporaryFolder::Entry *> TemporaryFolder::all = nullptr;

/// Calls nothing but what a signal handler may: rm does the work.
void TemporaryFolder::removeAllAndEnd(int signal) {
  for (const Entry *entry = all; entry; entry = entry->next) {
    if (!entry->isThere)
      continue;
    pid_t child = ::_Fork();
    if (child == 0) {
      ::execl("/bin/rm", "rm", "-rf", "--", entry->path.c_str(), static_cast<char *>(nullptr));
      ::_exit(127);
    }
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal); // takes effect when the handler returns
}

namespace {

/// Holds back the signals that end the program from this thread: none comes between a folder and its entry.
class SignalsHeldBack {
public:
  SignalsHeldBack() {
    sigset_t ending;
    ::sigemptyset(&ending);
    for (int signal : kEndingSignals)
      ::sigaddset(&ending, signal);
    ::pthread_sigmask(SIG_BLOCK, &ending, &before_);
  }
  ~SignalsHeldBack() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeldBack(const SignalsHeldBack &) = delete;

private:
  sigset_t before_;
};

} // namespace

static void handleSignals(void (*handler)(int)) {
  for (int signal : kEndingSignals) {
    struct sigaction present {};
    if (::sigaction(signal, nullptr, &present) == 0 && present.sa_handler == SIG_DFL)
      ::signal(signal, handler);
  }
}

absl::StatusOr<TemporaryFolder> TemporaryFolder::create(absl::string_view prefix) {
  static std::once_flag once;
  std::call_once(once, [] { handleSignals(&removeAllAndEnd); });
  const char *parent = std::getenv("TMPDIR");
  std::string pattern = absl::StrCat(parent && *parent ? parent : "/tmp", "/", prefix, "-XXXXXX");
  SignalsHeldBack held;
  if (!::mkdtemp(pattern.data()))
    return errnoStatus(absl::StrCat("make the folder ", pattern));
  auto *entry = new Entry{pattern, all};
  while (!all.compare_exchange_weak(entry->next, entry)) {
  }
  return TemporaryFolder(entry);
}

TemporaryFolder::~TemporaryFolder() {
  if (!entry_)
    return;
  std::error_code ignored;
  std::filesystem::remove_all(entry_->path, ignored);
  entry_->isThere = false;
}

const std::string &TemporaryFolder::path() const { return entry_->path; }

} // namespace oriel::runtime
