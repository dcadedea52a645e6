// Measures generated code on one core: tile.dot in GFLOP/s, elementary functions and transposes in elements per
// nanosecond, and the time to compile. Prints the best of many short runs, which a busy machine disturbs least.
//
//   codegen_cpu_bench [host|avx2|baseline]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "kernels/common/TileBuilder.h"
#include "tests/support/tile/KernelRunner.h"

using namespace oriel;
using kernels::Place;
using kernels::Scalar;
using kernels::TileBuilder;
using mlir::Value;

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int64_t rounds = 20; // of the measured op in one call, on tiles that stay in scratch

struct Bench {
  std::string name;
  double work; // per op: flops or elements
  const char *unit;
};

/// A kernel that loads its tiles once and applies `op` `rounds` times to a carried tile, the last; the others are
/// converted to `inputType` before, if that is given.
void addKernel(tests::KernelRunner &runner, const std::string &name, std::vector<std::array<int64_t, 2>> shapes,
               mlir::Type inputType, llvm::function_ref<Value(TileBuilder &, llvm::ArrayRef<Value>)> op) {
  llvm::SmallVector<mlir::Type> types;
  for (auto shape : shapes)
    types.push_back(TileBuilder::bufferType(&runner.context(), shape));
  TileBuilder b = TileBuilder::kernel(runner.module(), runner.loc(), name, types, {1, 1, 1}, 1);
  auto place = [&] { return Place{{b.index(0), b.index(0)}, 0, 1}; };
  llvm::SmallVector<Value> tiles;
  for (auto [number, shape] : llvm::enumerate(shapes))
    tiles.push_back(b.load(b.buffer(number), place(), shape[0], shape[1]));
  for (Value &tile : llvm::MutableArrayRef(tiles).drop_back())
    tile = inputType ? b.convert(tile, inputType) : tile;
  auto carried =
      b.loop(b.index(0), b.index(rounds), 1, {tiles.back()}, [&](Scalar, mlir::ValueRange acc) -> TileBuilder::Values {
        tiles.back() = acc[0];
        return {op(b, tiles)};
      });
  b.store(carried[0], b.buffer(shapes.size() - 1), place());
}

double bestSeconds(tests::KernelRunner &runner, const std::string &name) {
  auto function = runner.function(name);
  std::vector<std::vector<float>> buffers(4, std::vector<float>(256 * 256, 0.25f));
  void *args[] = {buffers[0].data(), buffers[1].data(), buffers[2].data(), buffers[3].data()};
  size_t bytes = (runner.info(name).scratchBytes + 63) / 64 * 64;
  void *scratch = std::aligned_alloc(64, bytes);
  std::memset(scratch, 0, bytes);
  double best = 1e9;
  auto begin = Clock::now();
  while (secondsSince(begin) < 0.4) {
    auto start = Clock::now();
    function(args, 0, 0, 0, scratch);
    best = std::min(best, secondsSince(start));
  }
  std::free(scratch);
  return best / rounds;
}

std::vector<Bench> addAll(tests::KernelRunner &runner) {
  std::vector<Bench> benches;
  auto dot = [&](int64_t m, int64_t n, int64_t k, bool ta, bool tb, bool bf16 = false) {
    std::string name = std::string(bf16 ? "bf16_dot_" : "dot_") + std::to_string(m) + "x" + std::to_string(n) + "x" +
                       std::to_string(k) + (ta ? "_at" : "") + (tb ? "_bt" : "");
    std::array<int64_t, 2> a = {m, k}, b = {k, n};
    if (ta)
      std::swap(a[0], a[1]);
    if (tb)
      std::swap(b[0], b[1]);
    auto bf16Type = mlir::BFloat16Type::get(&runner.context());
    addKernel(runner, name, {a, b, {m, n}}, bf16 ? mlir::Type(bf16Type) : mlir::Type(),
              [&](TileBuilder &builder, llvm::ArrayRef<Value> t) {
                return ta   ? builder.dotAT(t[0], t[1], t[2])
                       : tb ? builder.dotBT(t[0], t[1], t[2])
                            : builder.dot(t[0], t[1], t[2]);
              });
    benches.push_back({name, 2.0 * m * n * k, "GFLOP/s"});
  };
  for (auto [m, n, k] : {std::array<int64_t, 3>{64, 64, 64},
                         {128, 64, 64},
                         {64, 128, 64},
                         {64, 64, 256},
                         {64, 256, 64},
                         {128, 128, 128},
                         {16, 64, 64},
                         {64, 16, 64}})
    for (bool bf16 : {false, true})
      dot(m, n, k, false, false, bf16);
  for (bool bf16 : {false, true}) {
    dot(64, 64, 64, true, false, bf16);
    dot(64, 64, 64, false, true, bf16);
  }
  auto unary = [&](const char *name, Scalar (*fn)(Scalar)) {
    addKernel(runner, name, {{64, 64}}, {}, [&](TileBuilder &b, llvm::ArrayRef<Value> t) { return b.map({t[0]}, fn); });
    benches.push_back({name, 64 * 64, "elements/ns"});
  };
  unary("map_add", [](Scalar x) { return x + 1.0; });
  unary("map_exp", [](Scalar x) { return exp(x * 0.001); });
  unary("map_tanh", [](Scalar x) { return tanh(x); });
  unary("map_log", [](Scalar x) { return log(x + 2.0); });
  addKernel(runner, "transpose", {{64, 64}}, {},
            [](TileBuilder &b, llvm::ArrayRef<Value> t) { return b.transpose(t[0]); });
  benches.push_back({"transpose", 64 * 64, "elements/ns"});
  addKernel(runner, "reduce_rows", {{64, 64}, {64, 1}}, {}, [](TileBuilder &b, llvm::ArrayRef<Value> t) {
    return b.map({t[1], b.reduceMax(t[0], 1)}, [](Scalar a, Scalar c) { return a + c; });
  });
  benches.push_back({"reduce_rows", 64 * 64, "elements/ns"});
  return benches;
}

} // namespace

int main(int argc, char **argv) {
  std::string name = argc > 1 ? argv[1] : "host";
  codegen::CpuTarget target = name == "avx2"       ? codegen::CpuTarget::avx2()
                              : name == "baseline" ? codegen::CpuTarget::baseline()
                                                   : codegen::CpuTarget::host();
  tests::KernelRunner runner;
  std::vector<Bench> benches = addAll(runner);
  auto start = std::clock();
  std::string error = runner.compile(target);
  if (!error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  std::printf("%zu kernels compiled in %.2f s of CPU time\n", benches.size(),
              double(std::clock() - start) / CLOCKS_PER_SEC);
  for (const Bench &bench : benches)
    std::printf("%-24s %8.1f %s\n", bench.name.c_str(), bench.work / bestSeconds(runner, bench.name) * 1e-9,
                bench.unit);
}
