// No memory is allocated inside run(): malloc itself is counted, for this program and all libraries in it.
//
// Steps without oneDNN must not allocate at all. oneDNN makes a few map nodes per execution and, for a transposed
// operand, packs into a block of its own that no option turns off: these are held to a size below every tensor here.
#include "runtime/executor/Executor.h"

#include "tests/unit/runtime/executor/TestPackage.h"

#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"

#include <atomic>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ORIEL_COUNT_ALLOCATIONS 0 // sanitizers replace malloc themselves
#else
#define ORIEL_COUNT_ALLOCATIONS 1
#endif

static std::atomic<bool> counting = false;
static std::atomic<size_t> allocations = 0, largestBytes = 0;

#if ORIEL_COUNT_ALLOCATIONS
extern "C" void *__libc_malloc(size_t);
extern "C" void *__libc_memalign(size_t, size_t);

static void count(size_t bytes) {
  if (!counting)
    return;
  ++allocations;
  size_t largest = largestBytes;
  while (bytes > largest && !largestBytes.compare_exchange_weak(largest, bytes)) {
  }
}

extern "C" void *malloc(size_t bytes) {
  count(bytes);
  return __libc_malloc(bytes);
}

extern "C" int posix_memalign(void **result, size_t alignment, size_t bytes) {
  count(bytes);
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : 12;
}
#endif

namespace oriel::runtime {
namespace {

const char *const planText = R"pb(
  arena_bytes: 8388608
  buffers { name: "x" dtype: F32 shape: [ 1024, 512 ] bytes: 2097152 placement: IO }
  buffers { name: "y" dtype: F32 shape: [ 1024, 512 ] bytes: 2097152 placement: ARENA }
  buffers { name: "w" dtype: F32 shape: [ 512, 512 ] bytes: 2097152 slot_bytes: 1048576 placement: STATE }
  entry_points {
    name: "kernels"
    steps { launch { symbol: "doubleRow" grid: [ 512, 1, 1 ] scratch_bytes: 32 args { buffer: 0 } args { buffer: 1 } } }
    steps { copy { source { buffer: 1 } target { buffer: 0 } bytes: 2097152 } }
    steps { fill { target { buffer: 1 } bytes: 2097152 } }
    steps { launch { symbol: "addRow" grid: [ 1, 1, 1 ] args { buffer: 0 } args { buffer: 2 } } }
  }
  entry_points {
    name: "products"
    steps { gemm { a { buffer: 0 } b { buffer: 2 } c { buffer: 1 } m: 1024 n: 512 k: 512 lda: 512 ldb: 512 ldc: 512 dtype: F32 c_dtype: F32 } }
    steps { gemm { a { buffer: 1 } b { buffer: 0 } c { buffer: 2 } m: 512 n: 512 k: 1024 lda: 512 ldb: 512 ldc: 512 transpose_a: true beta: 1 dtype: F32 c_dtype: F32 } }
  }
)pb";

class AllocationTest : public ::testing::TestWithParam<int> {
protected:
  void SetUp() override {
    if (!ORIEL_COUNT_ALLOCATIONS)
      GTEST_SKIP() << "a sanitizer owns malloc";
    device_ = *createCpuDevice({GetParam(), -1});
    executor_ = *Executor::create(*files_.load(), *device_, *group_[0]);
  }

  /// Runs at several slots after a first, warm run, and counts.
  void countRuns(const char *entry) {
    ASSERT_EQ(executor_->run(entry), absl::OkStatus());
    allocations = 0;
    largestBytes = 0;
    absl::Status status;
    counting = true;
    for (int round = 0; round < rounds && status.ok(); ++round)
      status = executor_->run(entry, round % 2);
    counting = false;
    ASSERT_EQ(status, absl::OkStatus());
  }

  static constexpr int rounds = 10;
  TestPackage files_{planText, ""};
  std::vector<std::unique_ptr<Communicator>> group_ = createLocalGroup(1);
  std::unique_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
};

TEST_P(AllocationTest, TheCounterCounts) {
  counting = true;
  size_t before = allocations;
  // volatile: the compiler may otherwise leave the pair out.
  void *volatile block = std::malloc(1);
  counting = false;
  std::free(block);
  EXPECT_GT(allocations, before);
}

TEST_P(AllocationTest, KernelsCopiesAndFillsAllocateNothing) {
  countRuns("kernels");
  EXPECT_EQ(allocations, 0u) << "largest: " << largestBytes << " bytes";
}

TEST_P(AllocationTest, ProductsAllocateNothingOfTheSizeOfATensor) {
  countRuns("products");
  constexpr size_t tilesOfBoth = 2 * 64;
  EXPECT_LE(largestBytes, 128u << 10);
  EXPECT_LE(allocations, rounds * tilesOfBoth * 16);
}

INSTANTIATE_TEST_SUITE_P(Threads, AllocationTest, ::testing::Values(1, 2));

} // namespace
} // namespace oriel::runtime
