// The compiler as a library: from a model text, or lm text, to a package on disk. The one entry that tools call.
//
// A package directory appears whole or not at all: it is written beside its final place and renamed.
#ifndef ORIEL_COMPILER_DRIVER_COMPILE_H
#define ORIEL_COMPILER_DRIVER_COMPILE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LLVM.h"
#include <cstdint>
#include <string>

namespace oriel::driver {

/// What to stop at and print instead of writing a package.
enum class Emit { Package, Lm, Primitives, Step, Tape, Tile, Schedule, LlvmIr, Assembly };

struct CompileOptions {
  std::string input;                 ///< path of a `.oriel` model or a `.mlir` lm module
  int64_t batch = 1;                 ///< rows of one micro-batch (models only)
  int64_t tokens = 1024;             ///< tokens of one row (models only)
  int64_t world = 1;                 ///< ranks of the `fsdp` axis
  int64_t gradSlots = 1;             ///< slots of the gradient stack: 1 + log2(micro-batches per rank)
  std::string bucket = "25MiB";      ///< size of gradients that ranks sum in one collective; "0": all in one
  std::string scheduleFile;          ///< state-save schedule as tape text; empty: chosen by the cost model
  std::string memoryBudget = "auto"; ///< of the whole step, as runtime/base/MemoryBudget.h reads it
  std::string
      deviceFile;    ///< device descriptor of the cost model, file or shipped name; empty: the target's shipped one
  int64_t cores = 0; ///< of the CPU that is scheduled for; 0: the descriptor's, or this machine's without one
  std::string tuningFile;     ///< tuning record of the cost model; empty: none
  std::string problemFile;    ///< where the schedule problem is written as text; empty: nowhere
  bool bf16 = false;          ///< activations and operands of products in bf16; otherwise all is f32
  std::string target = "cpu"; ///< or "nvidia:CHIP", "nvidia-emulated:CHIP", "nvidia-checked:CHIP" (KernelCode.h)
  std::string cpu = "host";   ///< "host", "avx2" or "baseline" (plain x86-64)
  std::string output;         ///< package directory
  Emit emit = Emit::Package;
  bool verifyEach = true; ///< run the IR verifier after every pass
  bool timing = false;    ///< print the time of each pass and phase to stderr
};

/// Fills in the device descriptor and the tuning record of this machine (runtime/base/TuningFiles.h) where `options`
/// name none and compile for its CPU.
void useTuningFiles(CompileOptions &options);

/// Reads `options.input` into an lm module. Diagnostics go to `errors`; null on error.
mlir::OwningOpRef<mlir::ModuleOp> importInput(mlir::MLIRContext &context, const CompileOptions &options,
                                              llvm::raw_ostream &errors);

/// Imports and runs the passes up to what `options.emit` needs.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> lower(mlir::MLIRContext &context, const CompileOptions &options,
                                                         llvm::raw_ostream &errors);

/// Compiles and writes the package, or prints the text that `options.emit` asks for to `out`.
/// One compilation per context at a time; several contexts may compile on several threads.
mlir::LogicalResult compile(const CompileOptions &options, llvm::raw_ostream &out, llvm::raw_ostream &errors);

/// Prints the one-page summary of `orielc --explain`: parameters, FLOPs, kernels with their schedule, memory.
mlir::LogicalResult explain(const CompileOptions &options, llvm::raw_ostream &out, llvm::raw_ostream &errors);

} // namespace oriel::driver

#endif
