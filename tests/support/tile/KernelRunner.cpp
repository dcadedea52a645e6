#include "tests/support/tile/KernelRunner.h"

#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

#include "compiler/codegen/store/UserStore.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;

namespace oriel::tests {

KernelRunner::KernelRunner() : module_(ModuleOp::create(UnknownLoc::get(&context_))) {
  context_.loadDialect<tile::TileDialect>();
}

KernelRunner::~KernelRunner() {
  for (void *library : libraries_)
    dlclose(library);
}

Location KernelRunner::loc() { return UnknownLoc::get(&context_); }

/// Runs `work` and returns the diagnostics it emitted; a failure without any gets `fallback`.
static std::string diagnosticsOf(MLIRContext &context, llvm::StringRef fallback,
                                 llvm::function_ref<LogicalResult()> work) {
  std::string text;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    text += diagnostic.str() + "\n";
    return success();
  });
  if (succeeded(work()))
    return "";
  return text.empty() ? fallback.str() : text;
}

std::string KernelRunner::parse(llvm::StringRef text) {
  return diagnosticsOf(context_, "parsing failed", [&]() -> LogicalResult {
    auto parsed = parseSourceString<ModuleOp>(text, ParserConfig(&context_));
    if (!parsed)
      return failure();
    module_->getBody()->getOperations().splice(module_->getBody()->end(), parsed->getBody()->getOperations());
    return success();
  });
}

std::string KernelRunner::compile(const codegen::CpuTarget &target) {
  std::string library = folder_.path() + "/kernels" + std::to_string(compilations_++) + ".so";
  std::string error = diagnosticsOf(context_, "compilation failed", [&]() -> LogicalResult {
    if (failed(verify(*module_)) || failed(codegen::compileKernels(*module_, target, codegen::userStore(), library)))
      return failure();
    for (auto kernel : module_->getOps<tile::KernelOp>()) {
      auto info = codegen::describeKernel(kernel);
      if (failed(info))
        return failure();
      infos_[info->symbol] = *info;
    }
    return success();
  });
  if (!error.empty())
    return error;
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return dlerror();
  libraries_.push_back(handle);
  return "";
}

KernelRunner::Function KernelRunner::function(const std::string &symbol) {
  return libraries_.empty() ? nullptr : reinterpret_cast<Function>(dlsym(libraries_.back(), symbol.c_str()));
}

std::string KernelRunner::run(const std::string &symbol, const std::vector<void *> &args, Order order) {
  Function kernel = function(symbol);
  if (!kernel)
    return "no kernel named " + symbol;
  const codegen::KernelInfo &info = infos_.at(symbol);
  constexpr size_t guard = 256;
  size_t bytes = info.scratchBytes + guard;
  auto *scratch = static_cast<unsigned char *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
  std::string error;
  int64_t cells = info.grid[0] * info.grid[1] * info.grid[2];
  for (int64_t i = 0; i < cells && error.empty(); ++i) {
    int64_t cell = order == Order::forward ? i : cells - 1 - i;
    std::memset(scratch, 0xff, bytes);
    kernel(args.data(), cell % info.grid[0], cell / info.grid[0] % info.grid[1], cell / info.grid[0] / info.grid[1],
           scratch);
    for (size_t byte = info.scratchBytes; byte < bytes; ++byte)
      if (scratch[byte] != 0xff)
        error = symbol + " writes behind its scratch of " + std::to_string(info.scratchBytes) + " bytes";
  }
  std::free(scratch);
  return error;
}

} // namespace oriel::tests
