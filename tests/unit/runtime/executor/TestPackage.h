// Writes a package made of a plan in text form and the kernels of tests/unit/runtime/device/TestKernels.cpp.
#ifndef ORIEL_TESTS_UNIT_RUNTIME_EXECUTOR_TESTPACKAGE_H
#define ORIEL_TESTS_UNIT_RUNTIME_EXECUTOR_TESTPACKAGE_H

#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "runtime/plan/Package.h"
#include "runtime/plan/PlanFile.h"

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <unistd.h>

namespace oriel::runtime {

/// A folder that goes away with the object.
class TestPackage {
public:
  TestPackage(const std::string &planText, const std::string &constants) {
    static int count = 0;
    folder_ = ::testing::TempDir() + "oriel-executor-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    plan::Plan plan;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(planText, &plan));
    std::string kernels = *readFile(TEST_KERNELS);
    plan.set_format_version(1);
    plan.mutable_target()->set_kind("cpu");
    plan.set_kernels_checksum(hashHex(kernels));
    plan.set_constants_checksum(hashHex(constants));
    EXPECT_TRUE(makeFolders(folder_).ok());
    EXPECT_TRUE(writeFileAtomically(folder_ + "/plan.pb", encodePlan(plan)).ok());
    EXPECT_TRUE(writeFileAtomically(folder_ + "/kernels.so", kernels).ok());
    EXPECT_TRUE(writeFileAtomically(folder_ + "/constants.bin", constants).ok());
  }
  ~TestPackage() { std::filesystem::remove_all(folder_); }

  absl::StatusOr<std::shared_ptr<const Package>> load() const { return Package::load(folder_); }

private:
  std::string folder_;
};

} // namespace oriel::runtime

#endif
