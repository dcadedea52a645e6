// Code of GPU kernels by way of a store: for GPUs and for the emulator, the same from a hit as from a miss.
#include "compiler/codegen/nvidia/DeviceCode.h"
#include "compiler/codegen/nvidia/emulated/HostLibrary.h"
#include "dialects/tile/BlockShape.h"
#include "runtime/base/Files.h"
#include "runtime/base/TemporaryFolder.h"
#include "tests/support/nvidia/NvidiaTest.h"

#include <filesystem>

namespace oriel::testing {
namespace {

using namespace codegen::nvidia;

constexpr char kernels[] = R"(
tile.kernel @double_r64(%a: memref<64x32xf32>, %b: memref<64x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %0 = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<64x32xf32>
  %1 = tile.map ins(%0 : tensor<64x32xf32>) -> tensor<64x32xf32> {
  ^bb0(%v: f32):
    %s = arith.addf %v, %v : f32
    tile.yield %s : f32
  }
  tile.store %1, %b[%c0, %c0] rows 0 cols 1 : tensor<64x32xf32>, memref<64x32xf32>
  tile.return
}
tile.kernel @square_r64(%a: memref<64x32xf32>, %b: memref<64x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %0 = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<64x32xf32> -> tensor<64x32xf32>
  %1 = tile.map ins(%0 : tensor<64x32xf32>) -> tensor<64x32xf32> {
  ^bb0(%v: f32):
    %s = arith.mulf %v, %v : f32
    tile.yield %s : f32
  }
  tile.store %1, %b[%c0, %c0] rows 0 cols 1 : tensor<64x32xf32>, memref<64x32xf32>
  tile.return
}
)";

class KeptCodeTest : public NvidiaTest {
protected:
  KeptCodeTest() : module_(parse(kernels)) { prepareContext(context_); }

  tile::KernelOp kernel(llvm::StringRef name) { return module_->lookupSymbol<tile::KernelOp>(name); }
  size_t entries() const {
    size_t count = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder_.path() + "/store"))
      count += entry.path().filename() != "swept";
    return count;
  }
  std::string hostLibrary(const HostTarget &target, const codegen::KernelStore &store) {
    std::string path = folder_.path() + "/kernels.so";
    EXPECT_TRUE(succeeded(compileHostLibrary(*module_, target, store, path)));
    return runtime::readFile(path).value_or("");
  }

  mlir::OwningOpRef<mlir::ModuleOp> module_;
  runtime::TemporaryFolder folder_ = *runtime::TemporaryFolder::create("oriel-kept-code");
  codegen::KernelStore store_{folder_.path() + "/store", "maker"}, none_;
};

TEST_F(KeptCodeTest, ForGpus) {
  DeviceCompiler compiler(NvidiaTarget::sm80(), store_);
  auto made = compiler.compile(kernel("double_r64")), kept = compiler.compile(kernel("double_r64")),
       without = DeviceCompiler(NvidiaTarget::sm80(), none_).compile(kernel("double_r64"));
  ASSERT_TRUE(succeeded(made) && succeeded(kept) && succeeded(without));
  EXPECT_EQ(entries(), 1u);
  EXPECT_NE(made->ptx.find(".entry double_r64"), std::string::npos) << made->ptx;
  EXPECT_EQ(made->cubin.empty(), !compiler.ptxas().isThere());
  for (const auto &other : {*kept, *without}) {
    EXPECT_EQ(other.function, "double_r64");
    EXPECT_EQ(other.ptx, made->ptx);
    EXPECT_EQ(other.cubin, made->cubin);
    EXPECT_EQ(other.resources.registers, made->resources.registers);
  }
  EXPECT_TRUE(succeeded(compiler.compile(kernel("square_r64"))));
  EXPECT_EQ(entries(), 2u) << "another kernel";
  EXPECT_TRUE(succeeded(DeviceCompiler(NvidiaTarget::sm90a(), store_).compile(kernel("double_r64"))));
  EXPECT_EQ(entries(), 3u) << "another chip";
}

TEST_F(KeptCodeTest, AKernelThatWasTriedUnderAnotherNameIsNotAssembledAgain) {
  DeviceCompiler compiler(NvidiaTarget::sm80(), store_);
  tile::setBlockShape(kernel("double_r64"), {8, 1});
  ASSERT_TRUE(succeeded(compiler.compile(kernel("double_r64"))));
  std::string key = compiler.keyOf(kernel("double_r64"));
  kernel("double_r64").setSymName("double_r64_wp8_st1");
  auto taken = compiler.compile(kernel("double_r64_wp8_st1"));
  ASSERT_TRUE(succeeded(taken));
  EXPECT_EQ(taken->function, "double_r64");
  EXPECT_EQ(entries(), 1u);
  tile::setBlockShape(kernel("double_r64_wp8_st1"), {4, 1});
  EXPECT_NE(compiler.keyOf(kernel("double_r64_wp8_st1")), key) << "whatever its name says";
}

TEST_F(KeptCodeTest, ForTheEmulator) {
  HostTarget target{NvidiaTarget::sm80(), codegen::CpuTarget::baseline()};
  std::string made = hostLibrary(target, store_);
  EXPECT_EQ(entries(), 2u);
  EXPECT_EQ(hostLibrary(target, store_), made);
  EXPECT_EQ(hostLibrary(target, none_), made);
  EXPECT_EQ(entries(), 2u);
  target.checked = true;
  EXPECT_NE(hostLibrary(target, store_), made);
  EXPECT_EQ(entries(), 4u) << "with checks";
  target.gpu = NvidiaTarget::sm90a();
  hostLibrary(target, store_);
  EXPECT_EQ(entries(), 6u) << "another chip";
  target.host = codegen::CpuTarget::avx2();
  hostLibrary(target, store_);
  EXPECT_EQ(entries(), 8u) << "another host";
}

} // namespace
} // namespace oriel::testing
