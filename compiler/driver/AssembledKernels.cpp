#include "compiler/driver/AssembledKernels.h"

#include "compiler/driver/Ptxas.h"
#include "runtime/base/CacheFolder.h"
#include "runtime/base/Files.h"
#include "runtime/base/Hash.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>

using namespace mlir;

namespace oriel::driver {

using transforms::KernelDemand;

/// The message without the op's name, which whoever asks knows.
static std::string textOf(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  StringRef rest = text;
  return rest.consume_front("'tile.kernel' op ") ? rest.str() : text;
}

std::unique_ptr<AssembledKernels> AssembledKernels::create(const codegen::nvidia::NvidiaTarget &target) {
  std::unique_ptr<AssembledKernels> kernels(new AssembledKernels(target));
  kernels->ptxas_ = findPtxas();
  if (kernels->ptxas_.empty())
    return nullptr;
  kernels->name_ = "ptxas-" + ptxasVersion(kernels->ptxas_);
  auto program = runtime::hashFile("/proc/self/exe");
  std::string cache = runtime::cacheFolder();
  if (program.ok() && !cache.empty()) {
    kernels->program_ = *program;
    kernels->folder_ = cache + "/kernels";
  }
  return kernels;
}

std::string printDemand(const KernelDemand &demand) {
  if (!demand.error.empty())
    return "error " + demand.error + "\n";
  return llvm::formatv("threads {0} shared {1} registers {2} spills {3} stages {4} wgmma {5}\n", demand.block.threads,
                       demand.block.sharedBytes, demand.block.registers, demand.spillBytes, demand.block.stages,
                       llvm::format("%.17g", demand.block.warpgroupShare));
}

bool parseDemand(StringRef text, KernelDemand &demand) {
  text = text.trim();
  if (text.consume_front("error ")) {
    demand.error = text.str();
    return !demand.error.empty();
  }
  auto take = [&](StringRef word, int64_t &number) {
    text = text.ltrim();
    return text.consume_front(word) && (text = text.ltrim(), !text.consumeInteger(10, number));
  };
  return take("threads", demand.block.threads) && take("shared", demand.block.sharedBytes) &&
         take("registers", demand.block.registers) && take("spills", demand.spillBytes) &&
         take("stages", demand.block.stages) && text.consume_front(" wgmma ") &&
         !text.getAsDouble(demand.block.warpgroupShare);
}

/// Beside its place and renamed: several compilers may write the same answer.
static void keep(const std::string &folder, const std::string &file, const KernelDemand &demand) {
  if (!folder.empty() && runtime::makeFolders(folder).ok())
    (void)runtime::writeFileAtomically(file, printDemand(demand)); // an answer that is not kept is found again
}

KernelDemand AssembledKernels::ask(tile::KernelOp kernel) {
  std::string text, name = ("@" + kernel.getSymName() + "(").str();
  llvm::raw_string_ostream out(text);
  kernel.print(out);
  if (size_t at = text.find(name); at != text.npos)
    text.erase(at, name.size());
  std::string key =
      runtime::Hasher().addField(text).addField(target_.chip).addField(name_).addField(program_).hex();
  auto [known, isNew] = known_.try_emplace(key);
  if (!isNew)
    return known->second;
  std::string file = folder_ + "/" + key;
  auto kept = folder_.empty() ? absl::StatusOr<std::string>(absl::NotFoundError("")) : runtime::readFile(file);
  if (kept.ok() && parseDemand(*kept, known->second))
    return known->second;
  known->second = assembleAlone(kernel);
  std::replace(known->second.error.begin(), known->second.error.end(), '\n', ' ');
  keep(folder_, file, known->second);
  return known->second;
}

/// A folder for one assembly.
class ScratchFolder {
public:
  ScratchFolder() { failed_ = static_cast<bool>(llvm::sys::fs::createUniqueDirectory("oriel-ptxas", path_)); }
  ~ScratchFolder() { llvm::sys::fs::remove_directories(path_); }
  std::string file(const char *name) const { return (Twine(path_) + "/" + name).str(); }
  bool failed() const { return failed_; }

private:
  SmallString<128> path_;
  bool failed_ = false;
};

static KernelDemand demandOf(const codegen::nvidia::NvidiaKernelInfo &info) {
  KernelDemand demand;
  demand.block.threads = info.threads;
  demand.block.registers = info.tileRegisters;
  demand.block.sharedBytes = info.sharedBytes;
  demand.block.stages = info.stages;
  demand.block.warpgroupShare = info.warpgroupShare;
  return demand;
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
  FailureOr<codegen::nvidia::NvidiaKernelInfo> info = codegen::nvidia::planKernel(kernel, target_);
  if (succeeded(info))
    demand = demandOf(*info);
  else if (demand.error.empty())
    demand.error = "has no code";
  return demand;
}

KernelDemand AssembledKernels::assembleAlone(tile::KernelOp kernel) const {
  KernelDemand demand;
  ErrorsOf errors(kernel.getContext(), demand);
  OwningOpRef<ModuleOp> alone = ModuleOp::create(kernel.getLoc());
  OpBuilder::atBlockEnd(alone->getBody()).clone(*kernel);
  SmallVector<codegen::nvidia::NvidiaKernelInfo> infos;
  auto lowered = codegen::nvidia::lowerToNvvm(*alone, target_, infos);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule;
  if (succeeded(lowered) && infos.size() == 1)
    llvmModule = codegen::nvidia::translateToLlvm(**lowered, target_, context);
  if (!llvmModule) {
    if (demand.error.empty())
      demand.error = "has no code";
    return demand;
  }
  demand = demandOf(infos[0]);
  std::string ptx = codegen::nvidia::emitPtx(*llvmModule, target_, demand.error);
  ScratchFolder folder;
  if (demand.error.empty() && (folder.failed() || !runtime::writeFileAtomically(folder.file("kernel.ptx"), ptx).ok()))
    demand.error = "cannot be written for ptxas";
  if (!demand.error.empty())
    return demand;
  auto kernels =
      assemble(ptxas_, folder.file("kernel.ptx"), target_.chip, folder.file("kernel.cubin"), demand.error);
  demand.block.registers = kernels[infos[0].symbol].registers;
  demand.spillBytes = kernels[infos[0].symbol].spillBytes;
  return demand;
}

} // namespace oriel::driver
