#include "compiler/driver/AssembledKernels.h"

#include "compiler/codegen/store/UserStore.h"
#include "dialects/tile/TileOps.h"
#include <algorithm>

using namespace mlir;

namespace oriel::driver {

using transforms::KernelDemand;

AssembledKernels::AssembledKernels(const codegen::nvidia::NvidiaTarget &target)
    : compiler_(target, codegen::userStore()) {}

std::unique_ptr<AssembledKernels> AssembledKernels::create(const codegen::nvidia::NvidiaTarget &target) {
  std::unique_ptr<AssembledKernels> kernels(new AssembledKernels(target));
  return kernels->compiler_.ptxas().isThere() ? std::move(kernels) : nullptr;
}

/// The message without the op's name, which whoever asks knows, as one line.
static std::string textOf(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  StringRef rest = text;
  rest.consume_front("'tile.kernel' op ");
  return rest.str();
}

namespace {
/// The first error about a kernel becomes that of its demand.
class ErrorsOf {
public:
  ErrorsOf(MLIRContext *context, KernelDemand &demand) : handler_(context, [&demand](Diagnostic &diagnostic) {
    if (demand.error.empty())
      demand.error = textOf(diagnostic);
    return success();
  }) {}

private:
  ScopedDiagnosticHandler handler_;
};
} // namespace

KernelDemand AssembledKernels::plan(tile::KernelOp kernel) {
  KernelDemand demand;
  ErrorsOf errors(kernel.getContext(), demand);
  FailureOr<codegen::nvidia::NvidiaKernelInfo> info = codegen::nvidia::planKernel(kernel, compiler_.target());
  if (failed(info)) {
    if (demand.error.empty())
      demand.error = "has no code";
    return demand;
  }
  demand.block.threads = info->threads;
  demand.block.registers = info->tileRegisters;
  demand.block.sharedBytes = info->sharedBytes;
  demand.block.stages = info->stages;
  demand.block.warpgroupShare = info->warpgroupShare;
  return demand;
}

KernelDemand AssembledKernels::ask(tile::KernelOp kernel) {
  auto [known, isNew] = known_.try_emplace(compiler_.keyOf(kernel));
  KernelDemand &demand = known->second;
  if (!isNew)
    return demand;
  demand = plan(kernel);
  if (!demand.error.empty())
    return demand;
  ErrorsOf errors(kernel.getContext(), demand);
  FailureOr<codegen::nvidia::DeviceCode> code = compiler_.compile(kernel);
  if (succeeded(code)) {
    demand.block.registers = code->resources.registers;
    demand.spillBytes = code->resources.spillBytes;
  } else if (demand.error.empty()) {
    demand.error = "has no code";
  }
  return demand;
}

} // namespace oriel::driver
