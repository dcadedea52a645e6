// Packages on disk: checksums, targets, missing and torn files.
#include "runtime/plan/Package.h"

#include "tests/unit/runtime/plan/SamplePlan.h"

#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Hash.h"
#include "runtime/plan/PlanFile.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <unistd.h>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

class PackageTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "oriel-package-" + std::to_string(::getpid());
    ASSERT_TRUE(makeFolders(folder_).ok());
    plan_ = samplePlan();
    write("constants.bin", constants_);
    write("kernels.so", kernels_);
    plan_.set_constants_checksum(hashHex(constants_));
    plan_.set_kernels_checksum(hashHex(kernels_));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string &name, const std::string &bytes) {
    ASSERT_TRUE(writeFileAtomically(folder_ + "/" + name, bytes).ok());
  }
  absl::StatusOr<std::shared_ptr<const Package>> load() {
    write("plan.pb", encodePlan(plan_));
    return Package::load(folder_);
  }
  void expectError(absl::StatusCode code, const std::string &message) {
    absl::Status status = load().status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  std::string folder_;
  plan::Plan plan_;
  std::string constants_ = std::string(64, 'c');
  std::string kernels_ = "not really code";
};

TEST_F(PackageTest, Loads) {
  auto package = load();
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ((*package)->kernelsStem(), folder_ + "/kernels");
  EXPECT_EQ((*package)->constants().size(), 64u);
  EXPECT_NE((*package)->findEntry("micro"), nullptr);
  EXPECT_EQ((*package)->findEntry("macro"), nullptr);
  EXPECT_EQ((*package)->findBuffer("params")->bytes(), 128u);
}

TEST_F(PackageTest, RefusesAnotherCpuByNamingWhatIsMissing) {
  plan_.mutable_target()->set_cpu("cpu2050");
  plan_.mutable_target()->add_features("avx4096");
  for (const std::string &feature : hostCpuFeatures())
    plan_.mutable_target()->add_features(feature);
  expectError(absl::StatusCode::kFailedPrecondition, "package built for cpu2050 (needs avx4096");
  expectError(absl::StatusCode::kFailedPrecondition, "lacks avx4096; compile it again");
}

TEST_F(PackageTest, RefusesTargetsThatItDoesNotKnow) {
  plan_.mutable_target()->set_kind("abacus");
  expectError(absl::StatusCode::kInvalidArgument, "target 'abacus'; this build knows cpu and nvidia");
  plan_.mutable_target()->set_kind("nvidia");
  expectError(absl::StatusCode::kInvalidArgument, "target nvidia with chip ''");
}

TEST_F(PackageTest, LoadsDeviceCodeWhateverTheCpu) {
  plan_.mutable_target()->set_kind("nvidia");
  plan_.mutable_target()->set_chip("sm_80");
  plan_.mutable_target()->add_features("avx4096"); // of kernels.so, which only the emulator runs
  plan_.mutable_entry_points(0)->mutable_steps(0)->mutable_launch()->set_threads(128);
  plan::DeviceCode *code = plan_.add_device_code();
  code->set_file("kernels.12.ptx");
  code->set_checksum(hashHex("ptx"));
  write("kernels.12.ptx", "ptx");
  expectError(absl::StatusCode::kInvalidArgument, "device code kernels.12.ptx does not say of which kernel it is");
  code->set_symbol("attention");
  code->set_function("attention");
  EXPECT_EQ(load().status(), absl::OkStatus());
  write("kernels.12.ptx", "px");
  expectError(absl::StatusCode::kDataLoss, "kernels.12.ptx: checksum is");
  for (const char *name : {"../kernels.12.ptx", "kernels.ptx", "kernels..ptx", "kernels.12.so", "kernels.1/2.cubin"}) {
    code->set_file(name);
    expectError(absl::StatusCode::kInvalidArgument, absl::StrCat("device code '", name, "'"));
  }
}

TEST_F(PackageTest, NeedsCodeForTheHostUnlessItIsForGpus) {
  std::filesystem::remove(folder_ + "/kernels.so");
  plan_.clear_kernels_checksum();
  expectError(absl::StatusCode::kNotFound, "kernels.so");
  plan_.mutable_target()->set_kind("nvidia");
  plan_.mutable_target()->set_chip("sm_80");
  plan_.mutable_entry_points(0)->mutable_steps(0)->mutable_launch()->set_threads(128);
  EXPECT_EQ(load().status(), absl::OkStatus());
}

TEST_F(PackageTest, DetectsAFlippedByteOfConstants) {
  constants_[5] ^= 1;
  write("constants.bin", constants_);
  expectError(absl::StatusCode::kDataLoss, "constants.bin: checksum is");
}

TEST_F(PackageTest, DetectsATruncatedKernelsFile) {
  write("kernels.so", kernels_.substr(0, 4));
  expectError(absl::StatusCode::kDataLoss, "kernels.so: checksum is");
}

TEST_F(PackageTest, ReportsMissingFiles) {
  std::filesystem::remove(folder_ + "/kernels.so");
  expectError(absl::StatusCode::kNotFound, "kernels.so");
  EXPECT_EQ(Package::load(folder_ + "/none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PackageTest, RefusesABrokenPlanWithItsPath) {
  plan_.set_format_version(9);
  expectError(absl::StatusCode::kInvalidArgument, folder_ + "/plan.pb: format version 9");
}

TEST_F(PackageTest, DetectsADamagedPlanFile) {
  std::string bytes = encodePlan(plan_);
  write("plan.pb", bytes.substr(0, bytes.size() - 1));
  EXPECT_EQ(Package::load(folder_).status().code(), absl::StatusCode::kDataLoss);
  bytes[bytes.size() / 2] ^= 1;
  write("plan.pb", bytes);
  EXPECT_EQ(Package::load(folder_).status().code(), absl::StatusCode::kDataLoss);
}

TEST(PlanFile, EveryTruncationAndEveryFlippedBitIsDetected) {
  std::string bytes = encodePlan(samplePlan());
  ASSERT_TRUE(decodePlan(bytes).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(decodePlan(bytes.substr(0, i)).status().code(), absl::StatusCode::kDataLoss) << i;
    std::string flipped = bytes;
    flipped[i] ^= 1 << (i % 8);
    EXPECT_EQ(decodePlan(flipped).status().code(), absl::StatusCode::kDataLoss) << i;
  }
}

} // namespace
} // namespace oriel::runtime
