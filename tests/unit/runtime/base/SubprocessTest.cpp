// Tests of runtime/base/Subprocess.h with programs every system has.
#include "runtime/base/Subprocess.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

TEST(Subprocess, CollectsBothOutputsAndTheExitStatus) {
  auto result = runProcess({"sh", "-c", "echo out; echo err >&2; exit 3"}, Deadline::after(20));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exitStatus, 3);
  EXPECT_EQ(result->standardOutput, "out\n");
  EXPECT_EQ(result->standardError, "err\n");
}

TEST(Subprocess, PassesArgumentsUnchanged) {
  auto result = runProcess({"printf", "%s|", "a b", "$HOME", "*"}, Deadline::after(20));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->standardOutput, "a b|$HOME|*|");
}

TEST(Subprocess, TakesMoreOutputThanAPipeHolds) {
  auto result =
      runProcess({"sh", "-c", "head -c 1000000 /dev/zero; head -c 300000 /dev/zero >&2"}, Deadline::after(20));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->standardOutput.size(), 1000000u);
  EXPECT_EQ(result->standardError.size(), 300000u);
}

TEST(Subprocess, ReportsAKillingSignal) {
  auto result = runProcess({"sh", "-c", "kill -9 $$"}, Deadline::after(20));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exitStatus, 128 + 9);
}

TEST(Subprocess, KillsAtTheDeadline) {
  double start = monotonicSeconds();
  auto result = runProcess({"sleep", "30"}, Deadline::after(0.2));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(monotonicSeconds() - start, 10);
}

/// The state of a process: 'R', 'S', 'Z' …; 'X' when there is none.
char stateOf(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string number, name;
  char state = 'X';
  stat >> number >> name >> state;
  return state;
}

TEST(Subprocess, AProgramEndsWithTheOneThatRunsIt) {
  std::array<int, 2> toTest;
  ASSERT_EQ(::pipe(toTest.data()), 0);
  pid_t middle = ::fork();
  if (middle == 0) {
    std::string tell = "echo $$ >&" + std::to_string(toTest[1]) + "; exec sleep 60";
    ::_exit(runProcess({"sh", "-c", tell}, Deadline::after(100)).ok());
  }
  ::close(toTest[1]);
  std::array<char, 16> number = {};
  ASSERT_GT(::read(toTest[0], number.data(), number.size() - 1), 0);
  ::close(toTest[0]);
  pid_t program = std::atoi(number.data());
  EXPECT_EQ(::kill(middle, SIGKILL), 0);
  EXPECT_EQ(::waitpid(middle, nullptr, 0), middle);
  Deadline deadline = Deadline::after(20);
  while (stateOf(program) != 'X' && stateOf(program) != 'Z' && !deadline.expired())
    ::usleep(1000);
  EXPECT_FALSE(deadline.expired());
}

TEST(Subprocess, ReportsAMissingProgram) {
  auto result = runProcess({"/no/such/program"}, Deadline::after(20));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("/no/such/program"));
}

TEST(FindSiblingProgram, PrefersTheVariableAndReportsWhatIsMissing) {
  ::setenv("ORIEL_TEST_PROGRAM", "/bin/sh", 1);
  EXPECT_EQ(*findSiblingProgram("nothing", "ORIEL_TEST_PROGRAM"), "/bin/sh");
  ::unsetenv("ORIEL_TEST_PROGRAM");
  auto missing = findSiblingProgram("nothing", "ORIEL_TEST_PROGRAM");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("ORIEL_TEST_PROGRAM"));
}

} // namespace
} // namespace oriel::runtime
