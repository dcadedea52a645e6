// Tests of runtime/base/TemporaryFolder.h, where a signal ends a program in a process of its own.
#include "runtime/base/TemporaryFolder.h"

#include "runtime/base/Files.h"

#include "gtest/gtest.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace oriel::runtime {
namespace {

/// Whoever started the tests may ignore some.
const bool signalsAreAsIfByDefault = [] {
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    ::signal(signal, SIG_DFL);
  return true;
}();

/// All temporary folders go into one that the test looks at.
class TemporaryFolderTest : public ::testing::Test {
protected:
  TemporaryFolderTest() {
    outer_ = ::testing::TempDir() + "oriel folders XXXXXX";
    EXPECT_TRUE(::mkdtemp(outer_.data()));
    ::setenv("TMPDIR", outer_.c_str(), 1);
  }
  ~TemporaryFolderTest() override {
    ::unsetenv("TMPDIR");
    std::filesystem::remove_all(outer_);
  }

  bool nothingIsLeft() const { return std::filesystem::is_empty(outer_); }

  /// How a program ends, as by waitpid(2), that has a folder with something in it when the signal comes.
  static int endBy(int signal, const std::function<void()> &before = [] {}) {
    pid_t child = ::fork();
    if (child == 0) {
      before();
      auto folder = TemporaryFolder::create("mine"), another = TemporaryFolder::create("mine");
      if (!folder.ok() || !another.ok() || !makeFolders(folder->path() + "/a/b").ok())
        ::_exit(9);
      ::raise(signal);
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }

  std::string outer_;
};

TEST_F(TemporaryFolderTest, GoesAwayWithItsOwner) {
  {
    auto folder = TemporaryFolder::create("mine");
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_TRUE(folder->path().starts_with(outer_ + "/mine-")) << folder->path();
    ASSERT_TRUE(makeFolders(folder->path() + "/a/b").ok());
    TemporaryFolder owner = *std::move(folder);
    EXPECT_TRUE(std::filesystem::exists(owner.path() + "/a/b"));
  }
  EXPECT_TRUE(nothingIsLeft());
}

TEST_F(TemporaryFolderTest, GoesAwayWithTheProgramThatASignalEnds) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    int status = endBy(signal);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_TRUE(nothingIsLeft()) << signal;
  }
}

TEST_F(TemporaryFolderTest, NoSignalComesBetweenAFolderAndItsRemoval) {
  for (useconds_t round = 0; round < 300; ++round) {
    pid_t child = ::fork();
    if (child == 0)
      while (TemporaryFolder::create("mine").ok()) {
      }
    ::usleep(1500 + 7 * round); // another place of its loop every time
    ASSERT_EQ(::kill(child, SIGTERM), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
    ASSERT_TRUE(nothingIsLeft()) << "round " << round;
  }
}

TEST_F(TemporaryFolderTest, LeavesSignalsAloneThatTheProgramHandlesOrIgnores) {
  EXPECT_EQ(endBy(SIGHUP, [] { ::signal(SIGHUP, SIG_IGN); }), 0);
  EXPECT_FALSE(nothingIsLeft());
  EXPECT_EQ(WEXITSTATUS(endBy(SIGTERM, [] { ::signal(SIGTERM, [](int) { ::_exit(7); }); })), 7);
}

TEST_F(TemporaryFolderTest, SaysWhereNoneCanBeMade) {
  ::setenv("TMPDIR", "/nowhere", 1);
  absl::Status status = TemporaryFolder::create("mine").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_NE(status.message().find("/nowhere"), absl::string_view::npos) << status;
}

} // namespace
} // namespace oriel::runtime
