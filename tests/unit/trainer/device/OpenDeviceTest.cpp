// Which GPU a process takes, from what its launcher says.
#include "trainer/device/OpenDevice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cstdlib>

namespace oriel::trainer {
namespace {

using ::testing::HasSubstr;

TEST(LocalRank, ComesFromOpenMpiThenSlurmThenTorchrun) {
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"})
    ::unsetenv(name);
  EXPECT_EQ(localRank(), 0);
  ::setenv("LOCAL_RANK", "3", 1);
  EXPECT_EQ(localRank(), 3);
  ::setenv("SLURM_LOCALID", "2", 1);
  EXPECT_EQ(localRank(), 2);
  ::setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1", 1); // mpirun inside of a Slurm allocation
  EXPECT_EQ(localRank(), 1);
  ::setenv("OMPI_COMM_WORLD_LOCAL_RANK", "first", 1);
  EXPECT_EQ(localRank(), 2);
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"})
    ::unsetenv(name);
}

TEST(GpuOfRank, IsTheRanksNumberOrTheOneThatItsLauncherLeft) {
  EXPECT_EQ(*gpuOfRank(3, 8, nullptr), 3);
  EXPECT_EQ(*gpuOfRank(1, 2, "4,6"), 1);
  EXPECT_EQ(*gpuOfRank(5, 1, "5"), 0); // srun --gpus-per-task=1
}

TEST(GpuOfRank, RefusesMoreRanksThanGpus) {
  EXPECT_THAT(
      gpuOfRank(2, 2, nullptr).status().ToString(),
      HasSubstr("INVALID_ARGUMENT: process 2 of this host has no GPU: there are 2; start at most 2 ranks per host"));
  EXPECT_THAT(gpuOfRank(1, 1, nullptr).status().ToString(), HasSubstr("there are 1; start at most 1"));
  EXPECT_THAT(gpuOfRank(2, 2, "0,3").status().ToString(), HasSubstr("there are 2 (CUDA_VISIBLE_DEVICES=0,3)"));
  EXPECT_THAT(gpuOfRank(0, 0, "").status().ToString(),
              HasSubstr("shows no GPU to this process (CUDA_VISIBLE_DEVICES=)"));
}

} // namespace
} // namespace oriel::trainer
