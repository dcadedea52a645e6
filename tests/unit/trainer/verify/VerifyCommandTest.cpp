// What `oriel verify` refuses before it compiles anything. Compiling and running: tests/numerics/verify.
#include "trainer/verify/VerifyCommand.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "trainer/checkpoint/Safetensors.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <map>
#include <sstream>
#include <unistd.h>

namespace oriel::trainer {
namespace {

using ::testing::HasSubstr;
using Metadata = std::map<std::string, std::string>;

class VerifyTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "oriel-verify-" + std::to_string(::getpid());
    ASSERT_TRUE(runtime::makeFolders(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A file with the tensors x, y [1,2,1,4] and scale [1,4].
  std::string writeCase(const Metadata &metadata) {
    std::string path = folder_ + "/case.safetensors";
    auto bytes = std::as_bytes(std::span(values_));
    std::vector<TensorToWrite> tensors = {{"x", TensorType::F32, {1, 2, 1, 4}, bytes},
                                          {"y", TensorType::F32, {1, 2, 1, 4}, bytes},
                                          {"scale", TensorType::F32, {1, 4}, bytes.first(16)}};
    EXPECT_TRUE(writeSafetensors(path, tensors, metadata).ok());
    return path;
  }
  absl::Status verifyFile(const std::string &path) {
    VerifyOptions options;
    options.cases = {path};
    std::ostringstream out;
    absl::Status status = verify(options, out);
    EXPECT_EQ(out.str(), "");
    return status;
  }
  void expectMalformed(const Metadata &metadata, const char *message) {
    absl::Status status = verifyFile(writeCase(metadata));
    EXPECT_EQ(runtime::exitCode(status), 2) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_THAT(std::string(status.message()), HasSubstr("case.safetensors"));
  }

  std::string folder_;
  std::vector<float> values_ = std::vector<float>(8, 1.0f);
};

TEST_F(VerifyTest, RefusesFilesThatAreNoGoldenCase) {
  expectMalformed({}, "no metadata 'family'");
  expectMalformed({{"family", "mamba"}, {"case", "c"}}, "is of the family 'mamba'; known are rla_op");
  expectMalformed({{"family", "group_rmsnorm"}, {"case", "c"}, {"eps", "small"}}, "no tensor 'dx'");
  expectMalformed({{"family", "attention"}, {"case", "c"}}, "no tensor 'q'");
}

TEST_F(VerifyTest, RefusesADamagedFile) {
  std::string path = writeCase({{"family", "group_rmsnorm"}, {"case", "c"}});
  std::string bytes = *runtime::readFile(path);
  ASSERT_TRUE(runtime::writeFileAtomically(path, bytes.substr(0, bytes.size() - 3)).ok());
  EXPECT_EQ(runtime::exitCode(verifyFile(path)), 2);
}

TEST_F(VerifyTest, SaysThatThereIsNoGpu) {
  if (::dlopen("libcuda.so.1", RTLD_LAZY))
    GTEST_SKIP() << "this machine has an NVIDIA driver";
  ::setenv("ORIELC", "/bin/true", 1); // found, never run
  VerifyOptions options;
  options.target = "cuda";
  std::ostringstream out;
  EXPECT_THAT(verify(options, out).ToString(), HasSubstr("--target cuda: no NVIDIA driver found (libcuda.so.1): take cpu instead"));
}

TEST_F(VerifyTest, TheCommandLineChecksItsWords) {
  std::string path = writeCase({});
  auto parse = [&](std::vector<std::string> words) {
    CLI::App app;
    std::function<absl::Status()> action;
    addVerifyCommand(app, &action);
    std::reverse(words.begin(), words.end());
    try {
      app.parse(words);
    } catch (const CLI::ParseError &) {
      return false;
    }
    return action != nullptr;
  };
  EXPECT_TRUE(parse({"verify", path}));
  EXPECT_TRUE(parse({"verify", "--dtype", "bf16", "--target", "cuda", path, path}));
  EXPECT_FALSE(parse({"verify"}));
  EXPECT_FALSE(parse({"verify", folder_ + "/none.safetensors"}));
  EXPECT_FALSE(parse({"verify", "--dtype", "f64", path}));
}

} // namespace
} // namespace oriel::trainer
