// oriel-lsp-server: MLIR's language server for texts of the three dialects (.mlir). Model files have `orielc lsp`.
#include "compiler/pipeline/Pipeline.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  oriel::pipeline::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry)) ? 1 : 0;
}
