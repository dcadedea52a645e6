// One shared library per kernel, in a temporary folder, kept open for the life of the process.
#include "tests/support/kernels/KernelRunner.h"

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/store/UserStore.h"
#include "compiler/transforms/NarrowKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "runtime/base/TemporaryFolder.h"
#include "tests/support/nvidia/EmulatedKernels.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <limits>
#include <map>
#include <random>
#include <string_view>

using namespace mlir;

namespace oriel::testing {

template <> float GuardedArray<float>::poison() { return std::numeric_limits<float>::quiet_NaN(); }
template <> int32_t GuardedArray<int32_t>::poison() { return std::numeric_limits<int32_t>::min() / 2; }

template <typename T> bool GuardedArray<T>::guardsIntact() const {
  auto poisoned = [](T value) { return std::isnan(poison()) ? std::isnan(value) : value == poison(); };
  return std::all_of(storage_.begin(), storage_.begin() + guard, poisoned) &&
         std::all_of(storage_.end() - guard, storage_.end(), poisoned);
}
template bool GuardedArray<float>::guardsIntact() const;
template bool GuardedArray<int32_t>::guardsIntact() const;

/// The value of an environment variable; empty where it is not set.
static std::string_view setting(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

bool usesBf16Storage() {
  static const bool result = setting("ORIEL_TEST_STORAGE") == "bf16" || setting("ORIEL_TEST_TARGET").ends_with("-bf16");
  return result;
}

bool runsOnNvidia() {
  static const bool result = setting("ORIEL_TEST_TARGET").starts_with("nvidia-emulated");
  return result;
}

/// What the environment asks for.
static codegen::nvidia::NvidiaTarget nvidiaTarget() {
  return codegen::nvidia::NvidiaTarget::byChip(setting("ORIEL_TEST_CHIP"))
      .value_or(codegen::nvidia::NvidiaTarget::sm80());
}

kernels::TileTarget tileTarget() {
  if (!runsOnNvidia())
    return kernels::TileTarget::Cpu;
  if (!usesBf16Storage())
    return nvidiaTarget().hasLargeBlocks() ? kernels::TileTarget::NvidiaLarge : kernels::TileTarget::Nvidia;
  return nvidiaTarget().hasWgmma ? kernels::TileTarget::NvidiaWarpgroup : kernels::TileTarget::NvidiaBf16;
}

namespace {

/// Relative, of a whole tensor: what the public implementations ask of bf16; what products of tf32 operands, which have
/// 10 bits of fraction, leave of f32; what the GPU's approximate powers and logarithms leave of it.
constexpr double bf16Tolerance = 1e-2, tf32Tolerance = 1e-3, approximateTolerance = 1e-5;
/// Below this, a difference is rounding noise around a zero.
constexpr double noise = 1e-6, tf32Noise = 1e-3;

/// The test in which a kernel with products last ran on tf32.
const ::testing::TestInfo *testWithTf32 = nullptr;
bool usesTf32() { return testWithTf32 && testWithTf32 == ::testing::UnitTest::GetInstance()->current_test_info(); }

using KernelFn = void (*)(void *const *, int64_t, int64_t, int64_t, void *);

constexpr uint16_t bf16Nan = 0x7fc0;

/// To nearest even.
uint16_t toBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return std::isnan(value) ? bf16Nan : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float fromBf16(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

struct CompiledKernel {
  KernelFn function = nullptr;
  std::unique_ptr<EmulatedKernels> emulated; // in place of `function`
  bool hasProducts = false;
  codegen::KernelInfo info;
  std::vector<int64_t> bufferElements;
  llvm::SmallVector<bool> isBf16; // per buffer
};

/// The memory that stands for an argument of a kernel in bf16 storage, between guards of NaN.
class Bf16Array {
public:
  explicit Bf16Array(const Argument &argument)
      : argument_(argument), storage_(static_cast<size_t>(argument.elements) + 2 * guard, bf16Nan) {
    const float *from = static_cast<const float *>(argument.data);
    for (int64_t i = 0; i < argument.elements; ++i)
      data()[i] = toBf16(from[i]);
  }

  uint16_t *data() { return storage_.data() + guard; }
  bool guardsIntact() const {
    auto isNan = [](uint16_t value) { return value == bf16Nan; };
    return std::all_of(storage_.begin(), storage_.begin() + guard, isNan) &&
           std::all_of(storage_.end() - guard, storage_.end(), isNan);
  }
  void copyBack() {
    float *to = static_cast<float *>(argument_.data);
    for (int64_t i = 0; i < argument_.elements; ++i)
      to[i] = fromBf16(data()[i]);
  }

private:
  static constexpr int64_t guard = 4096;
  Argument argument_;
  std::vector<uint16_t> storage_;
};

/// Owns the context and the folder of the compiled libraries.
class Compiler {
public:
  Compiler() {
    context_.loadDialect<tile::TileDialect, arith::ArithDialect, math::MathDialect, memref::MemRefDialect,
                         scf::SCFDialect>();
  }

  const CompiledKernel *get(const BuildFn &build, const std::string &symbol);

private:
  MLIRContext context_;
  runtime::TemporaryFolder folder_ = *runtime::TemporaryFolder::create("oriel-kernels");
  std::map<std::string, CompiledKernel> kernels_;
};

} // namespace

const CompiledKernel *Compiler::get(const BuildFn &build, const std::string &symbol) {
  if (auto found = kernels_.find(symbol); found != kernels_.end())
    return &found->second;
  OpBuilder builder(&context_);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToEnd(module->getBody());
  tile::KernelOp op = build(builder, builder.getUnknownLoc(), symbol);
  CompiledKernel kernel;
  kernel.isBf16.assign(op.getBuffers().size(), false);
  if (usesBf16Storage()) {
    kernel.isBf16 = transforms::narrowableBuffers(op);
    tile::KernelOp narrow = transforms::narrowKernel(op, kernel.isBf16, symbol, /*insideBranches=*/true);
    op.erase();
    op = narrow;
  }
  if (failed(verify(*module)))
    return nullptr;
  for (Type type : op.getArgumentTypes())
    kernel.bufferElements.push_back(cast<MemRefType>(type).getNumElements());
  auto info = codegen::describeKernel(op);
  std::string path = folder_.path() + "/" + std::to_string(kernels_.size()) + ".so";
  if (failed(info))
    return nullptr;
  kernel.info = *info;
  op.walk([&](tile::DotOp) { kernel.hasProducts = true; });
  if (runsOnNvidia()) {
    auto emulated = EmulatedKernels::compile(*module, {nvidiaTarget(), codegen::CpuTarget::host()});
    EXPECT_TRUE(emulated.ok()) << emulated.status();
    if (!emulated.ok())
      return nullptr;
    kernel.emulated = std::move(*emulated);
    return &kernels_.emplace(symbol, std::move(kernel)).first->second;
  }
  if (failed(codegen::compileKernels(*module, codegen::CpuTarget::host(), codegen::userStore(), path)))
    return nullptr;
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return nullptr;
  kernel.function = reinterpret_cast<KernelFn>(dlsym(library, symbol.c_str()));
  return &kernels_.emplace(symbol, std::move(kernel)).first->second;
}

/// Compiled code with its arguments and scratch.
struct Launch {
  const CompiledKernel *kernel;
  std::vector<void *> pointers;
  std::vector<Bf16Array> bf16 = {}; // in place of the arguments of that type
  std::unique_ptr<void, decltype(&std::free)> scratch{nullptr, &std::free};

  /// Cells run from the last to the first; on the emulator in any order, threads in another one at each call.
  void run() const {
    if (kernel->emulated) {
      if (kernel->hasProducts)
        testWithTf32 = ::testing::UnitTest::GetInstance()->current_test_info();
      static uint64_t seed = 0;
      EXPECT_EQ(kernel->emulated->launch(0, pointers, ++seed), absl::OkStatus());
      return;
    }
    auto [x, y, z] = kernel->info.grid;
    for (int64_t cell = x * y * z - 1; cell >= 0; --cell)
      kernel->function(pointers.data(), cell % x, cell / x % y, cell / (x * y), scratch.get());
  }
};

/// Null kernel after a failure.
static Launch prepare(const BuildFn &build, const std::string &symbol, const std::vector<Argument> &arguments) {
  static Compiler compiler;
  Launch launch{compiler.get(build, symbol), {}};
  if (!launch.kernel || (!launch.kernel->function && !launch.kernel->emulated) ||
      launch.kernel->bufferElements.size() != arguments.size()) {
    ADD_FAILURE() << "no code, or " << arguments.size() << " arguments are not what the kernel takes";
    launch.kernel = nullptr;
    return launch;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    EXPECT_EQ(launch.kernel->bufferElements[i], arguments[i].elements) << "argument " << i;
    if (launch.kernel->bufferElements[i] != arguments[i].elements)
      return {nullptr, {}};
    if (launch.kernel->isBf16[i])
      launch.bf16.emplace_back(arguments[i]);
    launch.pointers.push_back(launch.kernel->isBf16[i] ? launch.bf16.back().data() : arguments[i].data);
  }
  // Scratch starts as NaN: a kernel may not count on what is there.
  size_t bytes = static_cast<size_t>((launch.kernel->info.scratchBytes + 127) / 64 * 64);
  launch.scratch.reset(std::aligned_alloc(64, bytes));
  std::memset(launch.scratch.get(), 0xff, bytes);
  return launch;
}

void runKernel(const BuildFn &build, const std::string &symbol, std::vector<Argument> arguments) {
  SCOPED_TRACE(symbol);
  Launch launch = prepare(build, symbol, arguments);
  if (!launch.kernel)
    return;
  launch.run();
  for (Bf16Array &array : launch.bf16) {
    EXPECT_TRUE(array.guardsIntact()) << "wrote outside of a bf16 argument";
    array.copyBack();
  }
  for (size_t i = 0; i < arguments.size(); ++i)
    EXPECT_TRUE(arguments[i].guardsIntact()) << "wrote outside of argument " << i;
}

/// CPU time of this thread: what other programs do on the machine counts less than in wall time.
static double threadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double timeKernel(const BuildFn &build, const std::string &symbol, std::vector<Argument> arguments, int repeats) {
  Launch launch = prepare(build, symbol, arguments);
  double best = -1;
  for (int i = 0; launch.kernel && i < repeats; ++i) {
    double begin = threadSeconds();
    launch.run();
    double seconds = threadSeconds() - begin;
    best = best < 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

Floats randomFloats(int64_t size, uint32_t seed, float scale) {
  std::mt19937 generator(seed);
  Floats values(size);
  for (float &value : values)
    value = scale * (static_cast<float>(generator() >> 8) / static_cast<float>(1 << 23) - 1.0f);
  if (usesBf16Storage())
    for (float &value : values)
      value = fromBf16(toBf16(value));
  return values;
}

void expectClose(std::span<const float> actual, std::span<const double> expected, double tolerance, const char *name) {
  ASSERT_EQ(actual.size(), expected.size()) << name;
  if (usesBf16Storage())
    tolerance = std::max(tolerance, bf16Tolerance);
  if (runsOnNvidia())
    tolerance = std::max(tolerance, usesTf32() ? tf32Tolerance : approximateTolerance);
  double difference = 0, norm = 0, worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    double d = std::abs(actual[i] - expected[i]);
    ASSERT_FALSE(std::isnan(d)) << name << "[" << i << "] is not a number; expected " << expected[i];
    difference += d * d;
    norm += expected[i] * expected[i];
    worst = std::max(worst, d);
  }
  if (worst > (usesTf32() ? tf32Noise : noise)) {
    EXPECT_LE(std::sqrt(difference), tolerance * std::sqrt(norm)) << name << ": greatest difference " << worst;
  }
}

} // namespace oriel::testing
