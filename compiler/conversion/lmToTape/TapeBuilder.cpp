#include "compiler/conversion/lmToTape/TapeBuilder.h"

using namespace mlir;

namespace oriel::conversion {

void KernelSet::require(StringRef symbol, Location caller, Build build) {
  if (!built_.insert(symbol).second)
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(module_.getBody());
  build(builder, NameLoc::get(builder.getStringAttr(symbol), caller), symbol);
}

TapeBuilder::TapeBuilder(tape::ProgramOp program, KernelSet &kernels)
    : program_(program), kernels_(kernels), builder_(OpBuilder::atBlockEnd(&program.getBody().front())),
      loc_(program.getLoc()) {}

RankedTensorType TapeBuilder::f32(ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, builder_.getF32Type());
}

SmallVector<Value> TapeBuilder::call(StringRef symbol, KernelSet::Build build, TypeRange results, ValueRange inputs,
                                     ArrayRef<Update> updates) {
  kernels_.require(symbol, loc_, build);
  SmallVector<int64_t> ties;
  SmallVector<Value> inits;
  if (!updates.empty())
    ties.assign(results.size(), -1);
  for (const Update &update : updates) {
    ties[update.result] = inits.size();
    inits.push_back(update.init);
  }
  auto op = tape::CallOp::create(builder_, loc_, results, FlatSymbolRefAttr::get(context(), symbol), inputs, inits,
                                 builder_.getDenseI64ArrayAttr(ties), FloatAttr(), ArrayAttr());
  return SmallVector<Value>(op.getOutputs());
}

Value TapeBuilder::matmul(Value a, Value b, Type result, Transpose transpose, Value into) {
  return tape::MatmulOp::create(builder_, loc_, result, a, b, into, transpose.a, transpose.b, ArrayAttr());
}

Value TapeBuilder::view(Value source, Type type, int64_t offset) {
  if (offset == 0 && source.getType() == type)
    return source;
  return tape::ViewOp::create(builder_, loc_, type, source, offset, ArrayAttr());
}

Value TapeBuilder::concat(ValueRange parts, Type type) {
  if (parts.size() == 1)
    return view(parts.front(), type);
  return tape::ConcatOp::create(builder_, loc_, type, parts, ArrayAttr());
}

Value TapeBuilder::zero(Type type) { return tape::ZeroOp::create(builder_, loc_, type, ArrayAttr()); }

Value TapeBuilder::constant(ElementsAttr value) {
  Value &known = constants_[value];
  if (!known)
    known = tape::ConstantOp::create(builder_, loc_, value);
  return known;
}

Value TapeBuilder::constant(ArrayRef<float> values, ArrayRef<int64_t> shape) {
  return constant(DenseElementsAttr::get(f32(shape), values));
}

Value TapeBuilder::allGather(Value slice, Type whole, int64_t world) {
  return tape::AllGatherOp::create(builder_, loc_, whole, slice, "fsdp", world, ArrayAttr());
}

Value TapeBuilder::reduceScatter(Value whole, Type slice, int64_t world) {
  auto sliceType = cast<RankedTensorType>(slice);
  Type scratch = f32({(world - 1) * sliceType.getNumElements()});
  return tape::ReduceScatterOp::create(builder_, loc_, slice, scratch, whole, "fsdp", world, ArrayAttr()).getSlice();
}

Value TapeBuilder::shard(Value whole, Type slice, int64_t world) {
  return tape::ShardOp::create(builder_, loc_, slice, whole, "fsdp", world, ArrayAttr());
}

void TapeBuilder::finish(ValueRange results) { tape::ReturnOp::create(builder_, program_.getLoc(), results); }

} // namespace oriel::conversion
