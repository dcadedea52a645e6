#include "tests/numerics/nvidia/ModelKernels.h"

#include "compiler/driver/Compile.h"
#include "mlir/IR/Builders.h"
#include "runtime/base/Files.h"
#include "llvm/Support/raw_ostream.h"
#include <filesystem>
#include <unistd.h>

namespace oriel::testing {

mlir::OwningOpRef<mlir::ModuleOp> kernelsOf(const TrainingStep &step, mlir::MLIRContext &context) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("oriel-model-" + std::to_string(getpid()) + ".oriel");
  if (absl::Status status = runtime::writeFileAtomically(path, step.model); !status.ok()) {
    llvm::errs() << status.ToString() << "\n";
    return nullptr;
  }
  driver::CompileOptions options;
  options.input = path;
  options.batch = step.batch;
  options.tokens = step.tokens;
  options.target = "nvidia-emulated:" + step.chip; // the schedules that are chosen without ptxas
  options.bf16 = step.isBf16;
  options.emit = driver::Emit::Tape;
  auto module = driver::lower(context, options, llvm::errs());
  std::filesystem::remove(path);
  if (failed(module))
    return nullptr;
  mlir::OwningOpRef<mlir::ModuleOp> kernels = mlir::ModuleOp::create((*module)->getLoc());
  mlir::OpBuilder builder = mlir::OpBuilder::atBlockEnd(kernels->getBody());
  for (auto kernel : (*module)->getOps<tile::KernelOp>())
    builder.clone(*kernel);
  return kernels;
}

} // namespace oriel::testing
