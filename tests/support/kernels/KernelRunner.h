// Runs one tile kernel on arrays: builds it, compiles it for this CPU, calls every cell. For numerics tests.
#ifndef ORIEL_TESTS_SUPPORT_KERNELS_KERNELRUNNER_H
#define ORIEL_TESTS_SUPPORT_KERNELS_KERNELRUNNER_H

#include "dialects/tile/TileOps.h"
#include "kernels/common/KernelSpec.h"
#include "mlir/IR/Builders.h"
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace oriel::testing {

/// 32-bit elements between two guards of NaN: a kernel that reads outside gives NaN, one that writes outside is found
/// out.
template <typename T> class GuardedArray {
public:
  GuardedArray() : GuardedArray(0) {}
  /// All elements start as `value`; for outputs keep the default, which shows places that nobody writes.
  explicit GuardedArray(int64_t size, T value = poison()) : storage_(size + 2 * guard, poison()) {
    std::fill(begin(), end(), value);
  }

  T *begin() { return storage_.data() + guard; }
  T *end() { return storage_.data() + storage_.size() - guard; }
  const T *begin() const { return storage_.data() + guard; }
  const T *end() const { return storage_.data() + storage_.size() - guard; }
  int64_t size() const { return static_cast<int64_t>(storage_.size()) - 2 * guard; }
  T &operator[](int64_t i) { return begin()[i]; }
  const T &operator[](int64_t i) const { return begin()[i]; }
  bool guardsIntact() const;

private:
  static constexpr int64_t guard = 4096;
  static T poison();
  std::vector<T> storage_;
};

using Floats = GuardedArray<float>;
using Ints = GuardedArray<int32_t>;

/// One argument of a kernel.
struct Argument {
  Argument(Floats &array)
      : data(array.begin()), elements(array.size()), guardsIntact([&] { return array.guardsIntact(); }) {}
  Argument(Ints &array)
      : data(array.begin()), elements(array.size()), guardsIntact([&] { return array.guardsIntact(); }) {}
  void *data;
  int64_t elements;
  std::function<bool()> guardsIntact;
};

/// Whether kernels run in bf16 storage here: with ORIEL_TEST_STORAGE=bf16 in the environment (or nvidia-emulated-bf16 as the target) every kernel is narrowed
/// (compiler/transforms/NarrowKernel.h), its arguments are rounded on the way in and extended on the way out, and
/// expectClose allows 1e-2.
bool usesBf16Storage();

/// Whether kernels run as NVIDIA code on the emulator: with ORIEL_TEST_TARGET=nvidia-emulated or nvidia-emulated-bf16 in the environment.
/// Products round operands of f32 to tf32 (half a unit is 2^-11); expectClose allows 1e-3 then. The code is for sm_80, or
/// for the chip in ORIEL_TEST_CHIP.
bool runsOnNvidia();

/// What the tiles of kernels are sized for here.
kernels::TileTarget tileTarget();

using BuildFn = std::function<tile::KernelOp(mlir::OpBuilder &, mlir::Location, llvm::StringRef)>;

/// Builds, compiles (once per symbol of this process) and runs all cells, from the last to the first. Reports failures
/// to GoogleTest: laws, compilation, sizes of arguments, guards.
void runKernel(const BuildFn &build, const std::string &symbol, std::vector<Argument> arguments);

template <typename Build, typename Spec>
void runKernel(Build build, const std::string &symbol, const Spec &spec, std::vector<Argument> arguments) {
  runKernel([&](mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef name) { return build(b, loc, name, spec); },
            symbol, std::move(arguments));
}

/// Least CPU seconds of `repeats` runs of all cells on one thread, without compilation. Negative after a failure.
double timeKernel(const BuildFn &build, const std::string &symbol, std::vector<Argument> arguments, int repeats);

/// Uniform values in [-scale, scale] from a fixed generator; in bf16 storage they are exact in bf16.
Floats randomFloats(int64_t size, uint32_t seed, float scale = 1.0f);

/// ||a - b||₂ / ||b||₂ <= tolerance, or max |a - b| <= 1e-6; NaN fails.
void expectClose(std::span<const float> actual, std::span<const double> expected, double tolerance, const char *name);
inline void expectClose(const Floats &actual, const std::vector<double> &expected, double tolerance, const char *name) {
  expectClose(std::span(actual.begin(), actual.end()), std::span(expected), tolerance, name);
}

} // namespace oriel::testing

#endif
