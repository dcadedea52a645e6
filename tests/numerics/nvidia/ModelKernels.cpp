#include "tests/numerics/nvidia/ModelKernels.h"

#include "compiler/driver/Compile.h"
#include "mlir/IR/Builders.h"
#include "runtime/base/Files.h"
#include "runtime/base/TemporaryFolder.h"
#include "llvm/Support/raw_ostream.h"

namespace oriel::testing {

mlir::OwningOpRef<mlir::ModuleOp> kernelsOf(const TrainingStep &step, mlir::MLIRContext &context) {
  auto folder = runtime::TemporaryFolder::create("oriel-model");
  absl::Status status = folder.status();
  if (status.ok())
    status = runtime::writeFileAtomically(folder->path() + "/model.oriel", step.model);
  if (status.ok())
    status = runtime::writeFileAtomically(folder->path() + "/schedule.mlir", step.schedule);
  if (!status.ok()) {
    llvm::errs() << status.ToString() << "\n";
    return nullptr;
  }
  driver::CompileOptions options;
  options.input = folder->path() + "/model.oriel";
  if (!step.schedule.empty())
    options.scheduleFile = folder->path() + "/schedule.mlir";
  options.batch = step.batch;
  options.tokens = step.tokens;
  options.target = "nvidia-emulated:" + step.chip; // the schedules that are chosen without ptxas
  options.bf16 = step.isBf16;
  options.emit = driver::Emit::Tape;
  auto module = driver::lower(context, options, llvm::errs());
  if (failed(module))
    return nullptr;
  mlir::OwningOpRef<mlir::ModuleOp> kernels = mlir::ModuleOp::create((*module)->getLoc());
  mlir::OpBuilder builder = mlir::OpBuilder::atBlockEnd(kernels->getBody());
  for (auto kernel : (*module)->getOps<tile::KernelOp>())
    builder.clone(*kernel);
  return kernels;
}

} // namespace oriel::testing
