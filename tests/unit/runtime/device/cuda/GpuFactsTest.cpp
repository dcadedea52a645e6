// What is found out about GPUs, from a driver and a /proc that are made up.
#include "runtime/device/cuda/GpuFacts.h"

#include "runtime/base/Files.h"
#include "runtime/base/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cstdio>

namespace oriel::runtime::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

/// Three GPUs, whose handles are not their numbers; the last one reaches nobody, and is reached by the first.
Driver threeGpus() {
  Driver driver = {};
  driver.init = [](unsigned) { return success; };
  driver.deviceGet = [](Device *device, int ordinal) {
    *device = 10 + ordinal;
    return ordinal < 3 ? success : invalidDevice;
  };
  driver.deviceGetPciBusId = [](char *id, int bytes, Device device) {
    std::snprintf(id, static_cast<size_t>(bytes), "0000:%02X:00.0", device + 0x11);
    return success;
  };
  driver.deviceCanAccessPeer = [](int *can, Device device, Device peer) {
    *can = device != 12 && !(device == 11 && peer == 12);
    return success;
  };
  return driver;
}

TEST(GpuFacts, CountsThem) { EXPECT_EQ(*countGpus(threeGpus()), 3); }

TEST(GpuFacts, FindsTheirPlaceOnTheBus) { EXPECT_EQ(*pciBusIdOf(threeGpus(), 10), "0000:1b:00.0"); }

TEST(GpuFacts, NamesThePairsThatAreApart) {
  Driver driver = threeGpus();
  EXPECT_THAT(*pairsWithoutPeerAccess(driver, 2), IsEmpty());
  auto apart = pairsWithoutPeerAccess(driver, 3);
  ASSERT_TRUE(apart.ok()) << apart.status();
  EXPECT_THAT(*apart, ElementsAre(Pair(0, 2), Pair(1, 2)));
  EXPECT_EQ(describePeers(3, *apart).substr(0, 90),
            "of the 3 GPUs of this host 0 and 2, 1 and 2 do not reach each other's memory: what they ex");
  EXPECT_EQ(describePeers(2, {}), "the 2 GPUs of this host reach each other's memory");
}

TEST(GpuFacts, PassOnWhatTheDriverRefuses) {
  Driver driver = threeGpus();
  EXPECT_FALSE(pairsWithoutPeerAccess(driver, 4).ok());
  driver.deviceCanAccessPeer = [](int *, Device, Device) { return systemNotReady; };
  EXPECT_THAT(pairsWithoutPeerAccess(driver, 2).status().ToString(), ::testing::HasSubstr("nvidia-fabricmanager"));
}

TEST(GpuFacts, TheSystemKnowsTheModel) {
  auto proc = TemporaryFolder::create("oriel-proc");
  ASSERT_TRUE(proc.ok()) << proc.status();
  std::string folder = proc->path() + "/driver/nvidia/gpus/0000:1b:00.0";
  ASSERT_TRUE(makeFolders(folder).ok());
  ASSERT_TRUE(writeFileAtomically(folder + "/information",
                                  "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\nGPU UUID: \t GPU-8a6e5b1c\n")
                  .ok());
  EXPECT_EQ(modelOf("0000:1b:00.0", proc->path()), "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(modelOf("0000:2c:00.0", proc->path()), "GPU");
}

} // namespace
} // namespace oriel::runtime::cuda
