// lm text as a test sees it: parse it, run passes on it, evaluate its functions in fp64 on random arguments.
#ifndef ORIEL_TESTS_SUPPORT_LM_LMPROGRAM_H
#define ORIEL_TESTS_SUPPORT_LM_LMPROGRAM_H

#include "compiler/reference/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/Pass.h"

#include <memory>
#include <string>
#include <vector>

namespace oriel::testing {

class LmProgram {
public:
  /// Parses and verifies `text`; valid() tells whether that worked, errors() what was wrong.
  explicit LmProgram(llvm::StringRef text);

  bool valid() const { return bool(module_); }
  /// All diagnostics so far, one a line.
  const std::string &errors() const { return errors_; }

  mlir::MLIRContext &context() { return *context_; }
  mlir::ModuleOp module() { return *module_; }
  mlir::func::FuncOp function(llvm::StringRef name) { return module_->lookupSymbol<mlir::func::FuncOp>(name); }
  /// The module in its text form.
  std::string text();

  bool decompose();
  bool differentiate();
  bool fusePointwise();

  /// Evaluates a function; empty on failure.
  std::vector<reference::Tensor> run(llvm::StringRef name, llvm::ArrayRef<reference::Tensor> arguments);

private:
  bool runPass(std::unique_ptr<mlir::Pass> pass);

  std::unique_ptr<mlir::MLIRContext> context_;
  std::string errors_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

/// Standard normal values.
reference::Tensor randomTensor(std::vector<int64_t> shape, uint64_t seed);

/// Arguments for a function: floats are normal; integers follow the argument's lm.role: "tokens" lie in 0 … 4,
/// "targets" in -1 … 4, "doc_start" splits each row into documents, "position" and "lengths" lie inside a row of
/// `rowTokens`.
std::vector<reference::Tensor> randomArguments(mlir::func::FuncOp func, uint64_t seed, int64_t rowTokens = 1);

/// doc_start [batch,tokens] of rows that are split at random places.
reference::Tensor randomDocuments(int64_t batch, int64_t tokens, uint64_t seed);

} // namespace oriel::testing

#endif
