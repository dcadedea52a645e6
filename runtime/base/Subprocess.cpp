// fork and exec with two pipes, drained by poll until the child ends or the deadline passes.
#include "runtime/base/Subprocess.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace oriel::runtime {

namespace {

struct Pipe {
  int read = -1, write = -1;
  ~Pipe() {
    closeRead();
    closeWrite();
  }
  absl::Status open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return errnoStatus("pipe");
    read = ends[0];
    write = ends[1];
    return absl::OkStatus();
  }
  void closeRead() {
    if (read >= 0)
      ::close(read);
    read = -1;
  }
  void closeWrite() {
    if (write >= 0)
      ::close(write);
    write = -1;
  }
};

/// In the child: becomes the program, or tells the parent through `failure` why it cannot. The program ends when the
/// parent does, however that ends.
[[noreturn]] void execChild(char **arguments, pid_t parent, int out, int err, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent)
    ::_exit(127);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execvp(arguments[0], arguments);
  int reason = errno;
  (void)!::write(failure, &reason, sizeof(reason));
  ::_exit(127);
}

/// Reads both pipes until both are at their end. False when the deadline passed first.
bool drain(Pipe &out, Pipe &err, ProcessResult &result, Deadline deadline) {
  std::array<char, 16384> chunk;
  while (out.read >= 0 || err.read >= 0) {
    if (deadline.expired())
      return false;
    std::array<pollfd, 2> polls = {{{out.read, POLLIN, 0}, {err.read, POLLIN, 0}}};
    ::poll(polls.data(), polls.size(), static_cast<int>(std::min(deadline.secondsLeft() * 1000 + 1, 200.0)));
    for (int i = 0; i < 2; ++i) {
      if (!(polls[i].revents & (POLLIN | POLLHUP | POLLERR)))
        continue;
      Pipe &pipe = i == 0 ? out : err;
      ssize_t count = ::read(pipe.read, chunk.data(), chunk.size());
      if (count > 0)
        (i == 0 ? result.standardOutput : result.standardError).append(chunk.data(), static_cast<size_t>(count));
      else if (count == 0 || errno != EINTR)
        pipe.closeRead();
    }
  }
  return true;
}

/// Waits for the child after its pipes have closed; false when the deadline passed first.
bool reap(pid_t child, int &status, Deadline deadline) {
  while (true) {
    pid_t done = ::waitpid(child, &status, WNOHANG);
    if (done == child || (done < 0 && errno != EINTR))
      return true;
    if (deadline.expired())
      return false;
    ::usleep(1000);
  }
}

} // namespace

absl::StatusOr<ProcessResult> runProcess(const std::vector<std::string> &arguments, Deadline deadline) {
  if (arguments.empty())
    return absl::InvalidArgumentError("no program to run");
  Pipe out, err, failure;
  ORIEL_RETURN_IF_ERROR(out.open());
  ORIEL_RETURN_IF_ERROR(err.open());
  ORIEL_RETURN_IF_ERROR(failure.open());
  std::vector<char *> pointers;
  for (const std::string &argument : arguments)
    pointers.push_back(const_cast<char *>(argument.c_str()));
  pointers.push_back(nullptr);

  pid_t parent = ::getpid(), child = ::fork();
  if (child < 0)
    return errnoStatus("fork");
  if (child == 0)
    execChild(pointers.data(), parent, out.write, err.write, failure.write);
  out.closeWrite();
  err.closeWrite();
  failure.closeWrite();

  ProcessResult result;
  int status = 0;
  bool finished = drain(out, err, result, deadline) && reap(child, status, deadline);
  if (!finished) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return absl::DeadlineExceededError(absl::StrCat(arguments[0], ": not finished within ", deadline.span(), " s"));
  }
  int reason = 0;
  if (::read(failure.read, &reason, sizeof(reason)) == sizeof(reason))
    return absl::ErrnoToStatus(reason, absl::StrCat("cannot run ", arguments[0]));
  result.exitStatus = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

absl::StatusOr<std::string> findSiblingProgram(const std::string &name, const char *overrideVariable) {
  const char *override = overrideVariable ? std::getenv(overrideVariable) : nullptr;
  std::string path;
  if (override && *override) {
    path = override;
  } else {
    std::error_code error;
    auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error)
      return absl::InternalError("cannot read /proc/self/exe");
    path = (self.parent_path() / name).string();
  }
  if (::access(path.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat(
        "no program ", path, overrideVariable ? absl::StrCat(" (set ", overrideVariable, " to its path)") : ""));
  return path;
}

} // namespace oriel::runtime
