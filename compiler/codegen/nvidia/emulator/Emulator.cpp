#include "compiler/codegen/nvidia/emulator/Emulator.h"
#include "compiler/codegen/nvidia/emulator/BlockScheduler.h"
#include "compiler/codegen/nvidia/emulator/Retarget.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/TargetSelect.h"
#include <cstring>

using namespace llvm;

namespace oriel::codegen::nvidia {

static constexpr size_t mostSharedBytes = 228 * 1024, sharedAlignment = 128;

Emulator::Emulator() : shared_(new std::byte[mostSharedBytes + sharedAlignment]) {}
Emulator::~Emulator() = default;

/// Names of the runtime as the emulated code calls them.
static Error defineRuntime(orc::LLJIT &jit, void *shared) {
  orc::SymbolMap symbols;
  auto define = [&](StringRef name, auto *address) {
    symbols[jit.mangleAndIntern(name)] = {orc::ExecutorAddr::fromPtr(address), JITSymbolFlags::Exported};
  };
  define("orielEmulatedThread", &orielEmulatedThread);
  define("orielEmulatedBlock", &orielEmulatedBlock);
  define("orielEmulatedBarrier", &orielEmulatedBarrier);
  define("orielEmulatedMma", &orielEmulatedMma);
  define("orielEmulatedExp2", &orielEmulatedExp2);
  define("orielEmulatedLog2", &orielEmulatedLog2);
  define("orielEmulatedRsqrt", &orielEmulatedRsqrt);
  define("orielEmulatedRoundToBf16", &orielEmulatedRoundToBf16);
  define("memset", &std::memset);
  define("memcpy", &std::memcpy);
  define("oriel_shared", static_cast<std::byte *>(shared));
  return jit.getMainJITDylib().define(orc::absoluteSymbols(std::move(symbols)));
}

Expected<std::unique_ptr<Emulator>> Emulator::create(std::unique_ptr<Module> module, std::unique_ptr<LLVMContext> context) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  std::unique_ptr<Emulator> emulator(new Emulator());
  auto jit = orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  emulator->jit_ = std::move(*jit);
  orc::LLJIT &lljit = *emulator->jit_;
  if (std::string unknown = retargetToHost(*module, lljit.getTargetTriple(), lljit.getDataLayout()); !unknown.empty())
    return createStringError("the emulator does not know the intrinsic " + unknown);
  auto base = reinterpret_cast<uintptr_t>(emulator->shared_.get());
  void *aligned = reinterpret_cast<void *>((base + sharedAlignment - 1) / sharedAlignment * sharedAlignment);
  if (Error error = defineRuntime(lljit, aligned))
    return error;
  if (Error error = lljit.addIRModule(orc::ThreadSafeModule(std::move(module), std::move(context))))
    return error;
  return emulator;
}

Error Emulator::launch(const NvidiaKernelInfo &kernel, ArrayRef<void *> buffers, uint64_t seed) {
  auto entry = jit_->lookup(kernel.symbol + ".emulated");
  if (!entry)
    return entry.takeError();
  auto *run = entry->toPtr<void (*)(void *const *)>();
  BlockScheduler scheduler(threadsPerBlock, seed);
  for (int64_t z = 0; z < kernel.grid[2]; ++z)
    for (int64_t y = 0; y < kernel.grid[1]; ++y)
      for (int64_t x = 0; x < kernel.grid[0]; ++x) {
        std::memset(shared_.get(), 0xff, mostSharedBytes + sharedAlignment); // NaN in f32 and bf16
        std::string wrong = scheduler.runBlock({x, y, z}, [&] { run(buffers.data()); });
        if (!wrong.empty())
          return createStringError(kernel.symbol + ": " + wrong);
      }
  return Error::success();
}

} // namespace oriel::codegen::nvidia
