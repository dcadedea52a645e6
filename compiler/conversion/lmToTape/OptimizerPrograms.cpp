#include "compiler/conversion/lmToTape/OptimizerPrograms.h"

#include "compiler/conversion/lmToTape/ParameterLayout.h"
#include "dialects/tile/TileOps.h"
#include "kernels/optim/Optim.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

struct NamedValue {
  StringRef buffer;
  Type type;
  int64_t offset = 0;
};

tape::ProgramOp makeProgram(ModuleOp module, StringRef name, ArrayRef<NamedValue> arguments,
                            ArrayRef<NamedValue> results) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto typesOf = [](ArrayRef<NamedValue> values) {
    return llvm::map_to_vector(values, [](const NamedValue &value) { return value.type; });
  };
  auto type = builder.getFunctionType(typesOf(arguments), typesOf(results));
  auto program = tape::ProgramOp::create(builder, NameLoc::get(builder.getStringAttr(name)), name, type);
  MLIRContext *context = builder.getContext();
  for (auto [i, value] : llvm::enumerate(arguments)) {
    program.setArgumentPlace(i, tape::PlaceAttr::get(context, value.buffer, value.offset, 0));
    program.getBody().getArgument(i).setLoc(NameLoc::get(builder.getStringAttr(value.buffer)));
  }
  for (auto [i, value] : llvm::enumerate(results))
    program.setResultPlace(i, tape::PlaceAttr::get(context, value.buffer, value.offset, 0));
  return program;
}

} // namespace

void addAccumulateProgram(ModuleOp module, KernelSet &kernels, int64_t elements) {
  Type flat = RankedTensorType::get({elements}, Float32Type::get(module.getContext()));
  tape::ProgramOp program =
      makeProgram(module, "accumulate", {{"grads", flat}, {"grads", flat, tape::sizeInBytes(flat)}}, {{"grads", flat}});
  TapeBuilder tape(program, kernels);
  kernels::FlatSpec spec{elements};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAccumulate(b, loc, name, spec); };
  Block &body = program.getBody().front();
  tape.finish(tape.call(kernels::accumulateSymbol(spec), build, flat, body.getArgument(1), {{body.getArgument(0), 0}}));
}

void addUpdateProgram(ModuleOp module, KernelSet &kernels, int64_t elements, int64_t world) {
  auto f32 = [&](int64_t n) { return RankedTensorType::get({n}, Float32Type::get(module.getContext())); };
  int64_t sliceElements = elements / world;
  Type flat = f32(elements), slice = f32(sliceElements), one = f32(1);
  tape::ProgramOp program = makeProgram(module, "update",
                                        {{"params", flat},
                                         {"grads", flat},
                                         {"adam_m", slice},
                                         {"adam_v", slice},
                                         {"hyper", f32(kernels::HyperCount)},
                                         {"decay", f32(sliceElements / parameterBlock)}},
                                        {{"params", flat}, {"adam_m", slice}, {"adam_v", slice}, {"grad_norm", one}});
  Block &body = program.getBody().front();
  TapeBuilder tape(program, kernels);
  kernels::FlatSpec sliceSpec{sliceElements}, wholeSpec{elements};

  Value params = body.getArgument(0), grads = body.getArgument(1);
  if (world > 1) {
    params = tape.shard(params, slice, world);
    grads = tape.reduceScatter(grads, slice, world);
  }
  auto buildSquares = [&](OpBuilder &b, Location loc, StringRef name) {
    kernels::buildSumSquares(b, loc, name, sliceSpec);
  };
  Value sums = tape.call(kernels::sumSquaresSymbol(sliceSpec), buildSquares, f32(sliceElements / normBlock), grads)[0];
  if (world > 1)
    sums = tape.allGather(sums, f32(elements / normBlock), world);
  auto buildNorm = [&](OpBuilder &b, Location loc, StringRef name) {
    kernels::buildTotalNorm(b, loc, name, wholeSpec);
  };
  Value norm = tape.call(kernels::totalNormSymbol(wholeSpec), buildNorm, one, sums)[0];

  auto buildAdamW = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAdamW(b, loc, name, sliceSpec); };
  SmallVector<Value> updated = tape.call(kernels::adamWSymbol(sliceSpec), buildAdamW, {slice, slice, slice},
                                         {grads, norm, body.getArgument(4), body.getArgument(5)},
                                         {{params, 0}, {body.getArgument(2), 1}, {body.getArgument(3), 2}});
  Value whole = world > 1 ? tape.allGather(updated[0], flat, world) : updated[0];
  tape.finish({whole, updated[1], updated[2], norm});
}

} // namespace oriel::conversion
