// orielc: the compiler's command line. Parses options and calls compiler/driver; no logic of its own.
#include "compiler/driver/Compile.h"
#include "compiler/driver/FormatFile.h"
#include "compiler/driver/ModelLanguageServer.h"
#include "runtime/base/Counts.h"
#include "runtime/base/OneOf.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>

using oriel::driver::CompileOptions;
using oriel::driver::Emit;
using oriel::runtime::oneOf;
using oriel::runtime::positiveCount;

namespace {

constexpr int usageError = 2;

struct FormatOptions {
  std::vector<std::string> files;
  bool check = false;
};

void addCompileOptions(CLI::App &app, CompileOptions &options, bool &explain) {
  app.add_option("input", options.input, "a model (.oriel) or an lm module (.mlir)");
  app.add_option("-o,--output", options.output, "directory of the package to write");
  app.add_option("--batch", options.batch, "rows of one micro-batch")
      ->capture_default_str()
      ->check(positiveCount());
  app.add_option("--tokens", options.tokens, "tokens of one row")->capture_default_str()->check(positiveCount());
  app.add_option("--world", options.world, "ranks of the fsdp axis")->capture_default_str()->check(positiveCount());
  app.add_option("--grad-slots", options.gradSlots, "slots of the gradient stack, 1 + log2(micro-batches per rank)")
      ->capture_default_str()
      ->check(CLI::Range(1, 32));
  app.add_option("--bucket", options.bucket,
                 "gradients that ranks sum in one collective, beside the backward: a size, or 0 for all after it")
      ->capture_default_str();
  app.add_option("--schedule", options.scheduleFile,
                 "state-save schedule (tape text) to use instead of the cost model's");
  app.add_option("--memory-budget", options.memoryBudget,
                 "of the whole step: 'auto', a size such as 6GiB, 'least' or 'unlimited'")
      ->capture_default_str();
  app.add_option("--device", options.deviceFile,
                 "device descriptor of the cost model: a file, or generic-cpu, a100, b200, h100, h200 (default: this "
                 "machine's, by "
                 "oriel-tune calibrate; for nvidia a shipped one of the chip)");
  app.add_option("--cores", options.cores,
                 "cores of the CPU that the schedule is made for (default: the descriptor's, else this machine's)")
      ->check(CLI::Range(1, 65536));
  app.add_option("--tuning", options.tuningFile,
                 "tuning record of the cost model (default: this machine's, by oriel-tune search)");
  app.add_option("--problem", options.problemFile,
                 "write the schedule problem to this file (compiler/schedule/ProblemText.h)");
  app.add_option("--dtype", options.bf16, "what activations and operands of products lie in: f32 or bf16")
      ->type_name("TEXT")
      ->transform(oneOf<bool>({{"f32", false}, {"bf16", true}}))
      ->default_str("f32");
  app.add_option("--target", options.target,
                 "cpu; nvidia:CHIP, for GPUs (CHIP: sm_80 …); nvidia-emulated:CHIP, for their emulator on the CPU; "
                 "nvidia-checked:CHIP, the same with every access to memory checked")
      ->capture_default_str();
  app.add_option("--cpu", options.cpu, "what code for the host may use: host, avx2 or baseline")->capture_default_str();
  app.add_option(
         "--emit", options.emit,
         "print this text instead of writing a package; llvm and asm: the kernels' optimised LLVM IR, and their "
         "x86-64 assembly or PTX")
      ->type_name("TEXT")
      ->transform(oneOf<Emit>({{"lm", Emit::Lm},
                               {"primitives", Emit::Primitives},
                               {"step", Emit::Step},
                               {"tape", Emit::Tape},
                               {"tile", Emit::Tile},
                               {"schedule", Emit::Schedule},
                               {"llvm", Emit::LlvmIr},
                               {"asm", Emit::Assembly},
                               {"package", Emit::Package}}));
  app.add_flag("--explain", explain, "print a one-page summary of kernels, schedule and memory");
  app.add_flag("--timing", options.timing, "print the time of each pass to stderr");
}

int runCompile(const CompileOptions &options, bool explain) {
  if (options.input.empty()) {
    llvm::errs() << "orielc: no input file (try: orielc model.oriel -o package, or orielc --help)\n";
    return usageError;
  }
  if (explain)
    return succeeded(oriel::driver::explain(options, llvm::outs(), llvm::errs())) ? 0 : 1;
  if (options.emit == Emit::Package && options.output.empty()) {
    llvm::errs() << "orielc: say where the package goes (-o DIRECTORY), or what to print (--emit, --explain)\n";
    return usageError;
  }
  return succeeded(oriel::driver::compile(options, llvm::outs(), llvm::errs())) ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  CLI::App app{"orielc compiles RAttention language models to packages for oriel."};
  app.set_version_flag("--version", std::string("orielc ") + ORIEL_VERSION);
  CompileOptions options;
  FormatOptions format;
  bool explain = false;
  addCompileOptions(app, options, explain);
  CLI::App *fmt = app.add_subcommand("fmt", "format model files in place");
  fmt->add_option("files", format.files, "model files")->required();
  fmt->add_flag("--check", format.check, "change nothing; exit 1 when a file is not formatted");
  CLI::App *lsp = app.add_subcommand("lsp", "language server of model files on stdin and stdout, for editors");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : usageError;
  }
  if (fmt->parsed())
    return oriel::driver::formatFiles(format.files, format.check, llvm::errs());
  if (lsp->parsed())
    return oriel::driver::serveModelLanguage(stdin, llvm::outs());
  oriel::driver::useTuningFiles(options);
  return runCompile(options, explain);
}
