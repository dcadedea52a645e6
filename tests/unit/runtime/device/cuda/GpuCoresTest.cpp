// Cores near a GPU, from a made-up /sys.
#include "runtime/device/cuda/GpuCores.h"

#include "runtime/base/Files.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <unistd.h>

namespace oriel::runtime::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Two GPUs on two NUMA nodes, with a network card of the same maker between them.
class GpuCoresTest : public ::testing::Test {
protected:
  void SetUp() override {
    sysfs_ = ::testing::TempDir() + "oriel-sysfs-" + std::to_string(::getpid());
    addPci("0000:1b:00.0", "0x030200", "0");
    addPci("0000:2c:00.0", "0x020700", "0");
    addPci("0000:9d:00.0", "0x030200", "1");
    add("devices/system/node/node0", "cpulist", "0-2,8\n");
    add("devices/system/node/node1", "cpulist", "3\n");
  }
  void TearDown() override { std::filesystem::remove_all(sysfs_); }

  void add(const std::string &folder, const char *file, const char *text) {
    std::filesystem::create_directories(sysfs_ + "/" + folder);
    ASSERT_TRUE(writeFileAtomically(sysfs_ + "/" + folder + "/" + file, text).ok());
  }
  void addPci(const std::string &slot, const char *kind, const char *node) {
    add("bus/pci/devices/" + slot, "vendor", "0x10de\n");
    add("bus/pci/devices/" + slot, "class", kind);
    add("bus/pci/devices/" + slot, "numa_node", node);
  }

  std::string sysfs_;
};

TEST_F(GpuCoresTest, AreThoseOfTheGpusNode) {
  EXPECT_THAT(coresNearGpu(0, nullptr, sysfs_), ElementsAre(0, 1, 2, 8));
  EXPECT_THAT(coresNearGpu(1, nullptr, sysfs_), ElementsAre(3));
  EXPECT_THAT(coresNearGpu(0, "1", sysfs_), ElementsAre(3));
}

TEST_F(GpuCoresTest, AreUnknownWhereTheSystemDoesNotTell) {
  EXPECT_THAT(coresNearGpu(2, nullptr, sysfs_), IsEmpty());
  EXPECT_THAT(coresNearGpu(1, "0", sysfs_), IsEmpty());
  EXPECT_THAT(coresNearGpu(0, "GPU-8a6e5b1c", sysfs_), IsEmpty());
  EXPECT_THAT(coresNearGpu(0, nullptr, sysfs_ + "/none"), IsEmpty());
  addPci("0000:1b:00.0", "0x030200", "-1");
  EXPECT_THAT(coresNearGpu(0, nullptr, sysfs_), IsEmpty());
}

} // namespace
} // namespace oriel::runtime::cuda
