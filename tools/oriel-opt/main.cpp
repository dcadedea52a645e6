// oriel-opt: mlir-opt for the three dialects. Runs any pass of the compiler on text.
#include "compiler/pipeline/Pipeline.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  oriel::pipeline::registerDialects(registry);
  oriel::pipeline::registerPassesAndPipelines();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Oriel's dialects and passes\n", registry));
}
