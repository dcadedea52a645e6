#include "compiler/driver/Compile.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "compiler/driver/AssembledKernels.h"
#include "compiler/driver/PrintCode.h"
#include "compiler/driver/WritePackage.h"
#include "compiler/frontend/Frontend.h"
#include "compiler/pipeline/Pipeline.h"
#include "compiler/schedule/ShippedDevices.h"
#include "compiler/transforms/Passes.h"
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/base/CpuFeatures.h"
#include "runtime/base/MemoryBudget.h"
#include "runtime/base/TuningFiles.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace oriel::driver {

using pipeline::Phase;

static void loadDialects(MLIRContext &context) {
  DialectRegistry registry;
  pipeline::registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

static bool isForNvidia(const CompileOptions &options) { return StringRef(options.target).starts_with("nvidia"); }

static StringRef chipOf(const CompileOptions &options) { return StringRef(options.target).split(':').second; }

/// Only products of bf16 go to warpgroups where a chip has them.
static std::string tilesFor(const CompileOptions &options) {
  if (!isForNvidia(options))
    return "cpu";
  std::optional<codegen::nvidia::NvidiaTarget> target = codegen::nvidia::NvidiaTarget::byChip(chipOf(options));
  if (!options.bf16)
    return target && target->hasLargeBlocks() ? "nvidia-large" : "nvidia";
  return target && target->hasWgmma ? "nvidia-warpgroup" : "nvidia-bf16";
}

/// The device descriptor of the cost model: given, or the shipped one of the target's chip.
static std::string deviceOf(const CompileOptions &options) {
  if (!options.deviceFile.empty() || !isForNvidia(options))
    return options.deviceFile;
  return std::string(schedule::gpuOfChip(chipOf(options)));
}

/// What the descriptor is scaled to: the shipped CPU to this machine, unless something is given.
static int64_t coresOf(const CompileOptions &options) {
  return options.cores == 0 && deviceOf(options).empty() ? runtime::hostCores() : options.cores;
}

static FailureOr<std::string> readText(const std::string &path, llvm::raw_ostream &errors) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (file)
    return (*file)->getBuffer().str();
  errors << "orielc: cannot read " << path << ": " << file.getError().message() << "\n";
  return failure();
}

void useTuningFiles(CompileOptions &options) {
  if (isForNvidia(options))
    return;
  runtime::TuningFiles files = runtime::findTuningFiles();
  if (options.deviceFile.empty())
    options.deviceFile = files.device;
  if (options.tuningFile.empty())
    options.tuningFile = files.record;
}

OwningOpRef<ModuleOp> importInput(MLIRContext &context, const CompileOptions &options, llvm::raw_ostream &errors) {
  FailureOr<std::string> text = readText(options.input, errors);
  if (failed(text))
    return nullptr;
  StringRef extension = llvm::sys::path::extension(options.input);
  if (extension == ".mlir") {
    llvm::SourceMgr sources;
    sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(*text, options.input), llvm::SMLoc());
    return parseSourceFile<ModuleOp>(sources, &context);
  }
  if (extension == ".oriel") {
    frontend::ImportOptions importOptions{options.batch, options.tokens, {}};
    auto module = frontend::importModel(context, options.input, *text, importOptions, errors);
    return succeeded(module) ? std::move(*module) : nullptr;
  }
  errors << "orielc: " << options.input << ": a model ends in .oriel, an lm module in .mlir\n";
  return nullptr;
}

static Phase phaseOf(Emit emit) {
  switch (emit) {
  case Emit::Primitives:
    return Phase::Primitives;
  case Emit::Step:
    return Phase::Step;
  case Emit::Schedule:
    return Phase::Scheduled;
  default:
    return Phase::Placed;
  }
}

/// As oriel-schedule-states takes it.
static FailureOr<int64_t> budgetOption(const std::string &text, llvm::raw_ostream &errors) {
  auto budget = runtime::parseMemoryBudget(text);
  if (!budget.ok()) {
    errors << "orielc: " << std::string(budget.status().message()) << "\n";
    return failure();
  }
  switch (budget->kind) {
  case runtime::MemoryBudget::Auto:
    return transforms::autoMemoryBudget;
  case runtime::MemoryBudget::Least:
    return transforms::leastMemoryBudget;
  default:
    return budget->bytes; // 0: unlimited
  }
}

/// For GPUs, where there is ptxas: somebody who knows what kernels take of them.
static std::unique_ptr<AssembledKernels> assembledKernels(const CompileOptions &options) {
  auto [kind, chip] = StringRef(options.target).split(':');
  auto target = kind == "nvidia" ? codegen::nvidia::NvidiaTarget::byChip(chip) : std::nullopt;
  return target ? AssembledKernels::create(*target) : nullptr;
}

static LogicalResult runPipeline(ModuleOp module, const CompileOptions &options, llvm::raw_ostream &errors) {
  FailureOr<int64_t> budget = budgetOption(options.memoryBudget, errors);
  if (failed(budget))
    return failure();
  auto bucketBytes = runtime::parseBytes(options.bucket);
  if (!bucketBytes.ok()) {
    errors << "orielc: --bucket: " << std::string(bucketBytes.status().message()) << "\n";
    return failure();
  }
  std::unique_ptr<AssembledKernels> kernels = assembledKernels(options);
  PassManager pm(module.getContext());
  pm.enableVerifier(options.verifyEach);
  if (options.timing)
    pm.enableTiming();
  pipeline::buildPipeline(pm,
                          {.world = options.world,
                           .gradSlots = options.gradSlots,
                           .bucketBytes = *bucketBytes,
                           .scheduleFile = options.scheduleFile,
                           .memoryBudget = *budget,
                           .deviceFile = deviceOf(options),
                           .cores = coresOf(options),
                           .tuningFile = options.tuningFile,
                           .problemFile = options.problemFile,
                           .tiles = tilesFor(options),
                           .probe = kernels.get(),
                           .bf16 = options.bf16},
                          phaseOf(options.emit));
  return pm.run(module);
}

/// Prints what `emit` asks for: the whole lm module, or the programs, kernels or schedule of a tape module.
static void printText(ModuleOp module, Emit emit, llvm::raw_ostream &out) {
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16);
  if (emit != Emit::Tile)         // where the name is the kernel's own
    flags.printNameLocAsPrefix(); // values carry the layer path of the model text: %layers.0.mixer
  bool whole = emit == Emit::Lm || emit == Emit::Primitives || emit == Emit::Step;
  if (whole)
    return module.print(out, flags);
  for (Operation &op : module.getOps()) {
    bool wanted = emit == Emit::Tape   ? !isa<tile::KernelOp>(op)
                  : emit == Emit::Tile ? isa<tile::KernelOp>(op)
                                       : isa<tape::ScheduleOp, tape::TilesOp>(op);
    if (wanted) {
      op.print(out, flags);
      out << "\n";
    }
  }
}

FailureOr<OwningOpRef<ModuleOp>> lower(MLIRContext &context, const CompileOptions &options, llvm::raw_ostream &errors) {
  loadDialects(context);
  OwningOpRef<ModuleOp> module = importInput(context, options, errors);
  if (!module)
    return failure();
  if (options.emit != Emit::Lm && failed(runPipeline(*module, options, errors)))
    return failure();
  return module;
}

LogicalResult compile(const CompileOptions &options, llvm::raw_ostream &out, llvm::raw_ostream &errors) {
  MLIRContext context;
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context, errors);
  FailureOr<CodeTarget> target = parseTarget(options.target, options.cpu, errors);
  if (failed(target))
    return failure();
  auto module = lower(context, options, errors);
  if (failed(module))
    return failure();
  if (options.emit == Emit::LlvmIr || options.emit == Emit::Assembly)
    return printKernelCode(**module, *target, options.emit == Emit::Assembly, out);
  if (options.emit != Emit::Package) {
    printText(**module, options.emit, out);
    return success();
  }
  FailureOr<std::string> text = readText(options.input, errors);
  if (failed(text))
    return failure();
  return writePackage(**module, *target, *text, options.output, errors);
}

} // namespace oriel::driver
