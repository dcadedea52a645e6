// Parses tile text in tests and collects what the verifiers say.
#ifndef ORIEL_TESTS_UNIT_DIALECTS_TILE_TILETEXT_H
#define ORIEL_TESTS_UNIT_DIALECTS_TILE_TILETEXT_H

#include <string>

#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

namespace oriel::tests {

class TileText {
public:
  TileText() {
    context_.loadDialect<tile::TileDialect>();
    context_.allowUnregisteredDialects();
  }

  mlir::MLIRContext &context() { return context_; }

  /// The text printed again, or "" with the diagnostics in `errors`.
  std::string reprint(const std::string &text) {
    errors.clear();
    mlir::ScopedDiagnosticHandler handler(&context_, [&](mlir::Diagnostic &diagnostic) {
      errors += diagnostic.str() + "\n";
      return mlir::success();
    });
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context_));
    if (!module)
      return "";
    std::string printed;
    llvm::raw_string_ostream stream(printed);
    module->print(stream);
    return printed;
  }

  /// `body` inside a kernel of four buffers, after `values`: names with types, separated by ';'.
  static std::string inKernel(llvm::StringRef body, llvm::StringRef values = "") {
    std::string text = "tile.kernel @k(%in: memref<64x32xf32>, %o: memref<64x32xf32>) grid(%gx, %gy, %gz) in [1, 1, 1] "
                       "outputs 1 {\n";
    llvm::SmallVector<llvm::StringRef> pairs;
    values.split(pairs, ';', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef pair : pairs) {
      auto [name, type] = pair.split(':');
      text += (name.trim() + " = \"test.value\"() : () -> " + type.trim() + "\n").str();
    }
    return text + body.str() + "\ntile.return\n}\n";
  }

  std::string errors;

private:
  mlir::MLIRContext context_;
};

} // namespace oriel::tests

#endif
