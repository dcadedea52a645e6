// Compiles tile kernels in a test and runs them on plain arrays.
//
//   KernelRunner runner;
//   auto b = TileBuilder::kernel(runner.module(), runner.loc(), "k", …);  …
//   ASSERT_EQ(runner.compile(CpuTarget::host()), "");
//   runner.run("k", {in.data(), out.data()});
//
// Each cell gets poisoned scratch (NaN bytes), so that a read before a write shows, and the bytes behind the scratch
// are checked afterwards. Cells run in order or in reverse. Not thread-safe.
#ifndef ORIEL_TESTS_SUPPORT_TILE_KERNELRUNNER_H
#define ORIEL_TESTS_SUPPORT_TILE_KERNELRUNNER_H

#include <map>
#include <string>
#include <vector>

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/base/TemporaryFolder.h"

namespace oriel::tests {

class KernelRunner {
public:
  enum class Order { forward, reverse };

  KernelRunner();
  ~KernelRunner();
  KernelRunner(const KernelRunner &) = delete;

  mlir::MLIRContext &context() { return context_; }
  mlir::ModuleOp module() { return *module_; }
  mlir::Location loc();

  /// Adds the kernels of a text; the diagnostics on failure.
  std::string parse(llvm::StringRef text);
  /// Verifies and compiles all kernels of the module; the diagnostics on failure, "" on success.
  std::string compile(const codegen::CpuTarget &target);
  /// Runs every cell of the kernel's grid; args are its buffers in order. An error text, "" on success.
  std::string run(const std::string &symbol, const std::vector<void *> &args, Order order = Order::forward);
  /// The address and facts of a compiled kernel, for benchmarks.
  using Function = void (*)(void *const *, int64_t, int64_t, int64_t, void *);
  Function function(const std::string &symbol);
  const codegen::KernelInfo &info(const std::string &symbol) { return infos_.at(symbol); }

private:
  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  std::map<std::string, codegen::KernelInfo> infos_;
  runtime::TemporaryFolder folder_ = *runtime::TemporaryFolder::create("oriel-kernels");
  std::vector<void *> libraries_;
  int compilations_ = 0;
};

} // namespace oriel::tests

#endif
