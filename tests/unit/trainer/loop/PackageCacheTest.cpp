// Tests what determines a cache key, and that a refused model leaves nothing behind. The compiler here is a script:
// real packages are the business of tests/e2e.
#include "trainer/loop/PackageCache.h"
#include "runtime/base/Status.h"
#include "runtime/base/TuningFiles.h"
#include "tests/unit/trainer/TemporaryFolder.h"

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

#include <gtest/gtest.h>

#include <set>

namespace oriel::trainer {
namespace {

namespace fs = std::filesystem;

struct PackageCacheTest : testing::Test {
  TemporaryFolder folder;
  PackageRequest request;

  void SetUp() override {
    request.modelText = "model m {}";
    request.cacheDir = folder / "cache";
    request.compiler = script("exit 0");
    fs::create_directory(folder / "tuning");
    setenv("ORIEL_TUNING_DIR", (folder / "tuning").c_str(), 1);
  }
  void TearDown() override { unsetenv("ORIEL_TUNING_DIR"); }
  std::string script(const std::string &body) {
    std::string path = folder / "orielc";
    writeText(path, "#!/bin/sh\n" + body + "\n");
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  absl::Status compile(double seconds = 30) {
    return findOrCompile(request, runtime::Deadline::after(seconds)).status();
  }
  int64_t entries() const {
    return fs::exists(request.cacheDir)
               ? std::distance(fs::directory_iterator(request.cacheDir), fs::directory_iterator())
               : 0;
  }
};

TEST_F(PackageCacheTest, EveryInputChangesTheKey) {
  std::set<std::string> keys;
  auto add = [&](auto change) {
    PackageRequest changed = request;
    change(changed);
    absl::StatusOr<std::string> key = packageKey(changed, changed.compiler);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->size(), 32u);
    EXPECT_TRUE(keys.insert(*key).second);
  };
  add([](PackageRequest &) {});
  add([](PackageRequest &r) { r.modelText += " "; });
  add([](PackageRequest &r) { r.batch = 2; });
  add([](PackageRequest &r) { r.tokens = 2; });
  add([](PackageRequest &r) { r.world = 2; });
  add([](PackageRequest &r) { r.gradSlots = 2; });
  add([](PackageRequest &r) { r.memoryBudget = "2GiB"; });
  add([](PackageRequest &r) { r.dtype = "bf16"; });
  add([](PackageRequest &r) { r.cores = 60000; });
  add([&](PackageRequest &r) { writeText(r.scheduleFile = folder / "schedule", "chunk 64"); });
  add([&](PackageRequest &r) { writeText(r.scheduleFile = folder / "schedule", "chunk 32"); });
  add([&](PackageRequest &) { writeText(runtime::tuningFilePlaces().device, "device d"); });
  add([&](PackageRequest &) { writeText(runtime::tuningFilePlaces().device, "device e"); });
  add([&](PackageRequest &) { writeText(runtime::tuningFilePlaces().record, "device d"); });
  for (const std::string &file : {runtime::tuningFilePlaces().device, runtime::tuningFilePlaces().record})
    fs::remove(file);
  add([&](PackageRequest &) { script("exit 1"); });
  script("exit 0");
  request.modelPath = "elsewhere/m.oriel";
  EXPECT_TRUE(keys.contains(*packageKey(request, request.compiler))) << "where the text lies does not matter";
}

TEST_F(PackageCacheTest, ARefusedModelShowsTheDiagnosticsAndLeavesNothing) {
  request.compiler = script("echo 'm.oriel:1:9: error: no layers' >&2; mkdir -p half; exit 1");
  absl::Status status = compile();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("m.oriel:1:9: error: no layers"), std::string::npos) << status;
  EXPECT_EQ(entries(), 0);
}

TEST_F(PackageCacheTest, ADiskThatIsFullIsNotTheModelsFault) {
  const std::string failing = "while [ \"$1\" != -o ]; do shift; done\n"
                              "echo \"m.oriel:1:1: error: cannot write $2.tmp-7/kernels.so: REASON\" >&2; exit 1";
  for (const char *reason : {"No space left on device", "Read-only file system", "Permission denied"}) {
    request.compiler = script(absl::StrReplaceAll(failing, {{"REASON", reason}}));
    absl::Status status = compile();
    EXPECT_EQ(status.message(), "cannot write to " + request.cacheDir + ", the cache of compiled packages: " + reason +
                                    "; make room there, or name another folder by compile.cache or ORIEL_CACHE");
    EXPECT_EQ(runtime::exitCode(status), 1) << "not malformed input";
    EXPECT_EQ(entries(), 0);
  }
  request.compiler = script(absl::StrReplaceAll(failing, {{"REASON", "ld.lld failed (-2): Bus error"}}));
  EXPECT_TRUE(
      absl::StrContains(compile().message(), ": the linker died of a bus error, as it does on a full disk; make room"))
      << compile();
  for (const char *other :
       {"echo 'm.oriel:1:1: error: m.mlir: Permission denied' >&2; exit 1",
        "while [ \"$1\" != -o ]; do shift; done; echo \"m.oriel:1:1: error: cannot link $2\" >&2; exit 1"}) {
    request.compiler = script(other);
    EXPECT_TRUE(absl::IsInvalidArgument(compile())) << compile();
    EXPECT_TRUE(absl::StrContains(compile().message(), "m.oriel:1:1: error: ")) << compile();
  }
}

TEST_F(PackageCacheTest, NamesTheFolderThatItCannotMake) {
  writeText(folder / "file", "");
  for (const char *path : {"", "absent.oriel"}) {
    request.modelPath = path;
    request.cacheDir = folder / "file/cache";
    absl::Status status = compile();
    EXPECT_TRUE(absl::StartsWith(status.message(), "cannot write to " + request.cacheDir + ", the cache")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "Not a directory; make room there, or name")) << status;
  }
}

TEST_F(PackageCacheTest, ACompilerThatDiesIsNotTheModelsFault) {
  request.compiler = script("kill -9 $$");
  EXPECT_TRUE(absl::IsInternal(compile()));
  EXPECT_EQ(entries(), 0);
}

TEST_F(PackageCacheTest, ACompilerThatHangsIsLeftAtTheDeadline) {
  request.compiler = script("sleep 100");
  EXPECT_TRUE(absl::IsDeadlineExceeded(compile(0.3)));
  EXPECT_EQ(entries(), 0);
}

TEST_F(PackageCacheTest, AnEmptyPackageIsRefused) {
  request.compiler = script("while [ \"$1\" != -o ]; do shift; done; mkdir -p \"$2\"");
  EXPECT_FALSE(compile().ok());
}

TEST_F(PackageCacheTest, SaysWhenThereIsNoCompiler) {
  request.compiler = folder / "no-such-program";
  EXPECT_FALSE(compile().ok());
}

} // namespace
} // namespace oriel::trainer
