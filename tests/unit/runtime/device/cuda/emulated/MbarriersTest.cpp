// Bulk copies by tensor maps, and what mbarriers make of mistakes.
#include "runtime/device/cuda/emulated/Mbarriers.h"

#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cstring>
#include <numeric>

namespace oriel::runtime::emulated {
namespace {

using ::testing::HasSubstr;

constexpr int64_t sharedBytes = 4096, mbarrierAt = 3072;

/// A tensor [5, 3, 24] of f32 counted from 1, of which TMA shows `shown` columns, and boxes of [rows, 1, 8] elements.
class MbarriersTest : public ::testing::Test {
public:
  static constexpr uint64_t rows = 5, heads = 3, columns = 24;

  MbarriersTest() : scheduler_(32, sharedBytes) {
    std::iota(std::begin(elements_), std::end(elements_), 1.0f);
    EXPECT_EQ(encode(columns, 2, cuda::swizzleNone), cuda::success);
  }

  cuda::Result encode(uint64_t shown, uint32_t boxRows, int swizzle, uint32_t boxColumns = 8, uint64_t stride = 288) {
    uint64_t sizes[] = {shown, heads, rows}, strides[] = {96, stride};
    uint32_t box[] = {boxColumns, 1, boxRows}, each[] = {1, 1, 1};
    return encodeTensorMap(&map_, cuda::tensorMapFloat32, 3, elements_, sizes, strides, box, each, 0, swizzle, 0, 0);
  }

  /// What is wrong with a block of 32 threads that runs `body`.
  std::string run(void (*body)(MbarriersTest &)) {
    struct Call {
      MbarriersTest &test;
      void (*body)(MbarriersTest &);
    } call{*this, body};
    return scheduler_.runBlock(
        {0, 0, 0}, 7,
        [](void *argument) {
          auto *of = static_cast<Call *>(argument);
          of->body(of->test);
        },
        &call);
  }

  static BlockScheduler &block() { return BlockScheduler::running(); }
  static std::byte *mbarrier() { return block().shared() + mbarrierAt; }
  static bool isFirst() { return block().threadIndex() == 0; }
  void copy(std::array<int32_t, 3> at, size_t target = 0) {
    orielEmulatedCopyTensor(block().shared() + target, mbarrier(), &map_, at.data(), 3);
  }
  /// Starts one copy and waits for it; thread 0 keeps what is there then.
  void copyBox(std::array<int32_t, 3> at, int32_t bytes) {
    if (isFirst()) {
      orielEmulatedMbarrierInit(mbarrier(), 1);
      orielEmulatedMbarrierArrive(mbarrier(), bytes);
      copy(at);
    }
    block().barrier();
    orielEmulatedMbarrierWait(mbarrier(), 0);
    std::memcpy(landed_.data(), block().shared(), sizeof(landed_));
  }
  float element(uint64_t row, uint64_t head, uint64_t column) const {
    return elements_[(row * heads + head) * columns + column];
  }

  alignas(64) float elements_[rows * heads * columns];
  cuda::TensorMap map_;
  BlockScheduler scheduler_;
  std::array<float, 32> landed_ = {};
};

TEST_F(MbarriersTest, ABoxLandsWithZerosForWhatLiesOutside) {
  ASSERT_EQ(encode(/*shown=*/21, 2, cuda::swizzleNone), cuda::success);
  EXPECT_EQ(run([](MbarriersTest &test) { test.copyBox({16, 1, 4}, 64); }), "");
  for (uint64_t column = 0; column < 8; ++column) {
    EXPECT_EQ(landed_[column], column < 5 ? element(4, 1, 16 + column) : 0) << column;
    EXPECT_EQ(landed_[8 + column], 0) << "a row past the end";
  }
  EXPECT_EQ(run([](MbarriersTest &test) { test.copyBox({-2, 2, -1}, 64); }), "");
  for (uint64_t column = 0; column < 8; ++column) {
    EXPECT_EQ(landed_[column], 0) << "a row before the start";
    EXPECT_EQ(landed_[8 + column], column < 2 ? 0 : element(0, 2, column - 2)) << column;
  }
}

TEST_F(MbarriersTest, ASwizzlePermutesTheUnitsOfEveryFourthPairOfRows) {
  ASSERT_EQ(encode(columns, 4, cuda::swizzle32), cuda::success);
  EXPECT_EQ(run([](MbarriersTest &test) { test.copyBox({0, 0, 0}, 128); }), "");
  EXPECT_EQ(landed_[0], element(0, 0, 0)); // bytes 0 to 127: bit 7 is 0
  ASSERT_EQ(encode(columns, 4, cuda::swizzle32), cuda::success);
  EXPECT_EQ(run([](MbarriersTest &test) {
              if (isFirst()) {
                orielEmulatedMbarrierInit(mbarrier(), 1);
                orielEmulatedMbarrierArrive(mbarrier(), 256);
                test.copy({0, 0, 0}, 0);
                test.copy({0, 0, 0}, 256);
              }
              block().barrier();
              orielEmulatedMbarrierWait(mbarrier(), 0);
            }),
            "");
  TensorMapFields fields = *readTensorMap(&map_);
  EXPECT_EQ(fields.swizzled(0x7f), 0x7fu);
  EXPECT_EQ(fields.swizzled(0x80), 0x90u);
  EXPECT_EQ(fields.swizzled(0x94), 0x84u);
  ASSERT_EQ(encode(columns, 4, cuda::swizzle128), cuda::success);
  fields = *readTensorMap(&map_);
  EXPECT_EQ(fields.swizzled(0x3 << 7 | 0x5 << 4), size_t(0x3 << 7 | (0x5 ^ 0x3) << 4));
  EXPECT_EQ(fields.swizzled(0xb << 7 | 0x5 << 4), size_t(0xb << 7 | (0x5 ^ 0x3) << 4));
}

TEST_F(MbarriersTest, TheDriverRefusesMapsThatAGpuCannotRead) {
  EXPECT_EQ(encode(columns, 257, cuda::swizzleNone), cuda::invalidValue) << "a box of 257";
  EXPECT_EQ(encode(0, 2, cuda::swizzleNone), cuda::invalidValue) << "no columns";
  EXPECT_EQ(encode(columns, 2, cuda::swizzleNone, 8, 280), cuda::invalidValue) << "a stride of 280 bytes";
  EXPECT_EQ(encode(columns, 2, cuda::swizzleNone, 6), cuda::invalidValue) << "rows of 24 bytes";
  EXPECT_EQ(encode(columns, 2, cuda::swizzle32, 16), cuda::invalidValue) << "rows beyond the swizzle";
  uint64_t size = 16, none = 0;
  uint32_t box = 8, each = 1;
  EXPECT_EQ(encodeTensorMap(&map_, cuda::tensorMapFloat32, 1, elements_ + 1, &size, &none, &box, &each, 0, 0, 0, 0),
            cuda::invalidValue)
      << "an address that is no multiple of 16";
}

TEST_F(MbarriersTest, DataIsNotThereBeforeItIsWaitedFor) {
  EXPECT_EQ(run([](MbarriersTest &test) {
              if (isFirst()) {
                orielEmulatedMbarrierInit(mbarrier(), 1);
                orielEmulatedMbarrierArrive(mbarrier(), 64);
                test.copy({0, 0, 0});
              }
              block().barrier();
              std::memcpy(test.landed_.data(), block().shared(), sizeof(test.landed_));
              block().barrier();
              orielEmulatedMbarrierWait(mbarrier(), 0);
            }),
            "");
  EXPECT_NE(landed_[0], landed_[0]) << "NaN";
}

TEST_F(MbarriersTest, PhasesFollowOneAnother) {
  EXPECT_EQ(run([](MbarriersTest &test) {
              if (isFirst())
                orielEmulatedMbarrierInit(mbarrier(), 1);
              for (int32_t phase = 0; phase < 5; ++phase) {
                block().barrier();
                if (isFirst()) {
                  orielEmulatedMbarrierArrive(mbarrier(), 64);
                  test.copy({0, 0, phase});
                }
                orielEmulatedMbarrierWait(mbarrier(), phase % 2);
                orielEmulatedMbarrierWait(mbarrier(), phase % 2);
                if (*reinterpret_cast<float *>(block().shared()) != test.element(static_cast<uint64_t>(phase), 0, 0))
                  block().fail("another row");
              }
            }),
            "");
}

TEST_F(MbarriersTest, MistakesAreNamed) {
  EXPECT_THAT(run([](MbarriersTest &test) { test.copyBox({0, 0, 0}, 80); }),
              HasSubstr("mbarrier at byte 3072: 32 threads wait for ever for phase 0 to end: it expects 80 bytes and "
                        "copies bring 64"));
  EXPECT_THAT(run([](MbarriersTest &test) { test.copyBox({0, 0, 0}, 48); }),
              HasSubstr("phase 0 expects 48 bytes and copies bring 64"));
  EXPECT_THAT(run([](MbarriersTest &) { orielEmulatedMbarrierWait(mbarrier(), 0); }),
              HasSubstr("nobody has initialised it"));
  EXPECT_THAT(run([](MbarriersTest &test) {
                if (isFirst()) {
                  orielEmulatedMbarrierInit(mbarrier(), 1);
                  orielEmulatedMbarrierArrive(mbarrier(), 64);
                  test.copy({0, 0, 0});
                }
              }),
              HasSubstr("threads ended before they waited for 64 bytes in flight"));
  EXPECT_THAT(run([](MbarriersTest &test) {
                if (isFirst()) {
                  orielEmulatedMbarrierInit(mbarrier(), 1);
                  orielEmulatedMbarrierArrive(mbarrier(), 64);
                  orielEmulatedMbarrierArrive(mbarrier(), 64);
                }
              }),
              HasSubstr("more arrivals in phase 0 than its 1"));
  EXPECT_THAT(run([](MbarriersTest &test) {
                if (isFirst()) {
                  orielEmulatedMbarrierInit(mbarrier(), 1);
                  test.copy({0, 0, 0}, 64);
                }
              }),
              HasSubstr("64 bytes to byte 64 of 4096 bytes of shared memory; they must lie inside, aligned to 128"));
}

} // namespace
} // namespace oriel::runtime::emulated
