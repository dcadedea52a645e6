#include "tests/support/lm/LmProgram.h"
#include "compiler/reference/Interpreter.h"
#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <random>

using namespace mlir;
using oriel::reference::Tensor;

namespace oriel::testing {

LmProgram::LmProgram(StringRef text) : context_(std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)) {
  context_->loadDialect<lm::LmDialect, func::FuncDialect, arith::ArithDialect>();
  context_->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    errors_ += diagnostic.str() + "\n";
    for (Diagnostic &note : diagnostic.getNotes())
      errors_ += "note: " + note.str() + "\n";
    return success();
  });
  module_ = parseSourceString<ModuleOp>(text, context_.get());
}

std::string LmProgram::text() {
  std::string result;
  llvm::raw_string_ostream os(result);
  module_->print(os);
  return result;
}

bool LmProgram::runPass(std::unique_ptr<Pass> pass) {
  PassManager manager(context_.get());
  manager.addPass(std::move(pass));
  return succeeded(manager.run(*module_));
}

bool LmProgram::decompose() { return runPass(transforms::createDecomposePass()); }
bool LmProgram::differentiate() { return runPass(transforms::createDifferentiatePass()); }
bool LmProgram::fusePointwise() { return runPass(transforms::createFusePointwisePass()); }

std::vector<Tensor> LmProgram::run(StringRef name, ArrayRef<Tensor> arguments) {
  FailureOr<SmallVector<Tensor>> results = reference::evaluate(function(name), arguments);
  return succeeded(results) ? std::vector<Tensor>(results->begin(), results->end()) : std::vector<Tensor>();
}

Tensor randomTensor(std::vector<int64_t> shape, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  Tensor tensor(std::move(shape));
  for (double &value : tensor.data)
    value = normal(engine);
  return tensor;
}

Tensor randomDocuments(int64_t batch, int64_t tokens, uint64_t seed) {
  std::mt19937_64 engine(seed);
  Tensor starts({batch, tokens});
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < tokens; ++t)
      starts.at(b, t) = t == 0 ? 0.0 : engine() % 4 == 0 ? double(t) : starts.at(b, t - 1);
  return starts;
}

namespace {

/// Uniform integers of first … last.
Tensor randomIntegers(std::vector<int64_t> shape, int64_t first, int64_t last, uint64_t seed) {
  std::mt19937_64 engine(seed);
  Tensor tensor(std::move(shape));
  for (double &value : tensor.data)
    value = double(first + int64_t(engine() % uint64_t(last - first + 1)));
  return tensor;
}

} // namespace

std::vector<Tensor> randomArguments(func::FuncOp func, uint64_t seed, int64_t rowTokens) {
  std::vector<Tensor> arguments;
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
    auto tensorType = cast<RankedTensorType>(type);
    std::vector<int64_t> shape = tensorType.getShape().vec();
    uint64_t own = seed * 1000 + i;
    auto attribute = func.getArgAttrOfType<StringAttr>(i, lm::kRoleAttr);
    StringRef role = attribute ? attribute.getValue() : "";
    if (isa<FloatType>(tensorType.getElementType()))
      arguments.push_back(randomTensor(shape, own));
    else if (role == "doc_start")
      arguments.push_back(randomDocuments(shape[0], shape[1], own));
    else if (role == "position" || role == "lengths")
      arguments.push_back(randomIntegers(shape, 0, rowTokens - 1, own));
    else
      arguments.push_back(randomIntegers(shape, role == "targets" ? -1 : 0, 4, own));
  }
  return arguments;
}

} // namespace oriel::testing
