// Shuffles, matrix loads, tf32 products and asynchronous copies against their definition in the PTX manual, and the
// faults that they report.
#include "runtime/device/cuda/emulated/BlockScheduler.h"
#include "runtime/device/cuda/emulated/Intrinsics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

namespace oriel::runtime::emulated {
namespace {

using ::testing::HasSubstr;

/// Runs `thread` once for each thread of one block; returns what went wrong.
std::string runThreads(int64_t threads, int64_t sharedBytes, uint64_t seed, std::function<void()> thread) {
  BlockScheduler scheduler(threads, sharedBytes);
  auto call = [](void *argument) { (*static_cast<std::function<void()> *>(argument))(); };
  return scheduler.runBlock({0, 0, 0}, seed, call, &thread);
}

TEST(WarpIntrinsics, ShuffleExchangesLanesByMask) {
  std::array<uint32_t, 64> got = {};
  ASSERT_EQ(runThreads(64, 0, 3,
                       [&] {
                         auto self = uint32_t(orielEmulatedThread());
                         got[self] = orielEmulatedShuffleXor(self * 10, 5);
                       }),
            "");
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(got[i], (i ^ 5u) * 10);
}

/// Element (row, col) of matrix m is 100·m + 10·row + col.
void loadFourMatrices(bool transposed, std::array<std::array<uint32_t, 4>, 32> &got) {
  ASSERT_EQ(runThreads(32, 4 * 128, 7,
                       [&] {
                         auto *shared = reinterpret_cast<uint16_t *>(orielEmulatedShared());
                         int lane = orielEmulatedThread(), matrix = lane / 8, row = lane % 8;
                         for (int col = 0; col < 8; ++col)
                           shared[lane * 8 + col] = uint16_t(100 * matrix + 10 * row + col);
                         orielEmulatedBarrier();
                         orielEmulatedLoadMatrices(got[size_t(lane)].data(), shared + lane * 8, 4, transposed);
                       }),
            "");
}

TEST(WarpIntrinsics, MatrixLoadsGiveRowsOrColumns) {
  for (bool transposed : {false, true}) {
    std::array<std::array<uint32_t, 4>, 32> got = {};
    loadFourMatrices(transposed, got);
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t matrix = 0; matrix < 4; ++matrix) {
        uint32_t major = lane / 4, minor = lane % 4 * 2;
        uint32_t low = 100 * matrix + (transposed ? 10 * minor + major : 10 * major + minor);
        uint32_t high = low + (transposed ? 10 : 1);
        EXPECT_EQ(got[lane][matrix], low | high << 16) << "lane " << lane << ", matrix " << matrix;
      }
  }
}

TEST(WarpIntrinsics, MatrixLoadReportsAMisalignedRow) {
  std::string fault = runThreads(32, 1024, 1, [&] {
    std::array<uint32_t, 4> d;
    orielEmulatedLoadMatrices(d.data(), orielEmulatedShared() + orielEmulatedThread() * 24, 4, 0);
  });
  EXPECT_THAT(fault, HasSubstr("ldmatrix of thread"));
  EXPECT_THAT(fault, HasSubstr("aligned"));
}

TEST(WarpIntrinsics, RoundsToTf32AwayFromZero) {
  auto rounded = [](float x) { return std::bit_cast<float>(orielEmulatedRoundToTf32(x)); };
  EXPECT_EQ(rounded(1.0f), 1.0f);
  EXPECT_EQ(rounded(1.0f + 0x1p-11f), 1.0f + 0x1p-10f); // half way
  EXPECT_EQ(rounded(-1.0f - 0x1p-11f), -1.0f - 0x1p-10f);
  EXPECT_EQ(rounded(1.0f + 0x0.fp-11f), 1.0f);
  EXPECT_TRUE(std::isnan(rounded(NAN)));
}

/// Fragments by the tables of "Matrix Fragments for mma.m16n8k8" in the PTX manual.
TEST(WarpIntrinsics, MmaTf32MultipliesByTheFragmentTables) {
  float a[16][8], b[8][8], d[16][8];
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 8; ++k)
      a[i][k] = float((i * 7 + k * 3) % 11 - 5), b[k][i % 8] = float((k * 5 + i % 8 * 2) % 13 - 6);
  ASSERT_EQ(runThreads(32, 0, 5,
                       [&] {
                         int lane = orielEmulatedThread(), group = lane >> 2, inGroup = lane & 3;
                         auto bits = [](float x) { return std::bit_cast<uint32_t>(x); };
                         std::array fragmentA = {bits(a[group][inGroup]), bits(a[group + 8][inGroup]),
                                                 bits(a[group][inGroup + 4]), bits(a[group + 8][inGroup + 4])};
                         std::array fragmentB = {bits(b[inGroup][group]), bits(b[inGroup + 4][group])};
                         std::array<float, 4> c = {1, 2, 3, 4}, result = {};
                         orielEmulatedMmaTf32(fragmentA.data(), fragmentB.data(), c.data(), result.data());
                         for (int i = 0; i < 4; ++i)
                           d[i < 2 ? group : group + 8][inGroup * 2 + (i & 1)] = result[size_t(i)] - c[size_t(i)];
                       }),
            "");
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      float want = 0;
      for (int k = 0; k < 8; ++k)
        want += a[i][k] * b[k][j];
      EXPECT_EQ(d[i][j], want) << i << ", " << j;
    }
}

struct Copied {
  std::array<float, 256> source;
  std::array<float, 256> got = {};
  Copied() {
    for (size_t i = 0; i < source.size(); ++i)
      source[i] = float(i) + 1;
  }
  bool isWhole() const { return got == source; }
};

/// Every thread copies 16 bytes in, and reads what its neighbour copied.
std::string copyThrough(Copied &copied, bool waits, bool meets, uint64_t seed) {
  return runThreads(64, 1024, seed, [&] {
    int self = orielEmulatedThread(), other = 63 - self;
    auto *shared = reinterpret_cast<float *>(orielEmulatedShared());
    orielEmulatedCopyAsync(shared + self * 4, copied.source.data() + self * 4, 16);
    orielEmulatedCommitCopies();
    if (waits)
      orielEmulatedWaitForCopies(0);
    if (meets)
      orielEmulatedBarrier();
    std::memcpy(copied.got.data() + other * 4, shared + other * 4, 16);
  });
}

TEST(WarpIntrinsics, CopiesLandAtTheWait) {
  Copied copied;
  EXPECT_EQ(copyThrough(copied, /*waits=*/true, /*meets=*/true, 1), "");
  EXPECT_TRUE(copied.isWhole());
}

TEST(WarpIntrinsics, AMissingWaitIsFound) {
  Copied copied;
  EXPECT_EQ(copyThrough(copied, /*waits=*/false, /*meets=*/true, 1), "");
  for (float value : copied.got)
    EXPECT_TRUE(std::isnan(value));
}

TEST(WarpIntrinsics, AMissingBarrierIsFoundUnderSomeOrder) {
  int wrong = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Copied copied;
    EXPECT_EQ(copyThrough(copied, /*waits=*/true, /*meets=*/false, seed), "");
    wrong += !copied.isWhole();
  }
  EXPECT_GT(wrong, 0);
}

TEST(WarpIntrinsics, NewestGroupsStayInFlight) {
  std::array<float, 8> source = {1, 2, 3, 4, 5, 6, 7, 8};
  std::array<float, 8> early, late;
  ASSERT_EQ(runThreads(1, 64, 1,
                       [&] {
                         std::byte *shared = orielEmulatedShared();
                         orielEmulatedCopyAsync(shared, source.data(), 16);
                         orielEmulatedCommitCopies();
                         orielEmulatedCopyAsync(shared + 16, source.data() + 4, 8); // the rest is zero
                         orielEmulatedCommitCopies();
                         orielEmulatedWaitForCopies(1);
                         std::memcpy(early.data(), shared, 32);
                         orielEmulatedWaitForCopies(0);
                         std::memcpy(late.data(), shared, 32);
                       }),
            "");
  EXPECT_EQ(early[3], 4);
  EXPECT_TRUE(std::isnan(early[4]));
  EXPECT_EQ(late, (std::array<float, 8>{1, 2, 3, 4, 5, 6, 0, 0}));
}

TEST(WarpIntrinsics, CopyReportsAPlaceOutsideSharedMemory) {
  float source[4] = {};
  std::string fault = runThreads(1, 64, 1, [&] { orielEmulatedCopyAsync(orielEmulatedShared() + 64, source, 16); });
  EXPECT_THAT(fault, HasSubstr("cp.async of thread 0: 16 bytes at byte 64 of 64"));
}

} // namespace
} // namespace oriel::runtime::emulated
