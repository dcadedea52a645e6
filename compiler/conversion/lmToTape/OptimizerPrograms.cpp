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
  int64_t offset = 0, rankStride = 0; // bytes
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
    program.setArgumentPlace(i, tape::PlaceAttr::get(context, value.buffer, value.offset, value.rankStride));
    program.getBody().getArgument(i).setLoc(NameLoc::get(builder.getStringAttr(value.buffer)));
  }
  for (auto [i, value] : llvm::enumerate(results))
    program.setResultPlace(i, tape::PlaceAttr::get(context, value.buffer, value.offset, value.rankStride));
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

namespace {

/// Writes the steps of @update. Its arguments: the hyperparameters and what the rank owns of moments and decay flags; then of
/// each bucket the parameters and the rank's share of the gradients.
class UpdateProgram {
public:
  UpdateProgram(ModuleOp module, KernelSet &kernels, const GradientBuckets &buckets)
      : buckets_(buckets), owned_(buckets.elements / buckets.world), context_(module.getContext()),
        program_(makeProgram(module, "update", arguments(), results())), tape_(program_, kernels) {}

  void build();

private:
  enum Argument { Hyper, Decay, MeanArgument, SquareArgument, FirstOfBuckets };

  Type f32(int64_t n) { return RankedTensorType::get({n}, Float32Type::get(context_)); }
  static int64_t bytes(int64_t elements) { return elements * static_cast<int64_t>(sizeof(float)); }
  bool isShared() const { return buckets_.world > 1; }

  SmallVector<NamedValue> arguments();
  SmallVector<NamedValue> results();
  Value argument(int64_t i) { return program_.getBody().getArgument(i); }
  Value paramsOf(int64_t bucket) { return argument(FirstOfBuckets + 2 * bucket); }
  Value gradsOf(int64_t bucket) { return argument(FirstOfBuckets + 2 * bucket + 1); }
  Value norm();

  const GradientBuckets &buckets_;
  int64_t owned_; // elements
  MLIRContext *context_;
  tape::ProgramOp program_;
  TapeBuilder tape_;
};

SmallVector<NamedValue> UpdateProgram::arguments() {
  SmallVector<NamedValue> list = {{"hyper", f32(kernels::HyperCount)},
                                  {"decay", f32(owned_ / parameterBlock)},
                                  {"adam_m", f32(owned_)},
                                  {"adam_v", f32(owned_)}};
  for (int64_t i = 0; i < buckets_.size(); ++i) {
    int64_t start = bytes(buckets_.starts[i]), share = buckets_.share(i);
    list.push_back({"params", f32(buckets_.count(i)), start});
    list.push_back({"grads", f32(share), start, isShared() ? bytes(share) : 0});
  }
  return list;
}

SmallVector<NamedValue> UpdateProgram::results() {
  SmallVector<NamedValue> list;
  for (int64_t i = 0; i < buckets_.size(); ++i) {
    int64_t own = bytes(buckets_.shareStart(i));
    list.push_back({"params", f32(buckets_.count(i)), bytes(buckets_.starts[i])});
    list.push_back({"adam_m", f32(buckets_.share(i)), own});
    list.push_back({"adam_v", f32(buckets_.share(i)), own});
  }
  list.push_back({"grad_norm", f32(1)});
  return list;
}

Value UpdateProgram::norm() {
  SmallVector<Value> sums;
  for (int64_t i = 0; i < buckets_.size(); ++i) {
    kernels::FlatSpec spec{buckets_.share(i)};
    auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildSumSquares(b, loc, name, spec); };
    sums.push_back(tape_.call(kernels::sumSquaresSymbol(spec), build, f32(spec.elements / normBlock), gradsOf(i))[0]);
  }
  Value all = tape_.concat(sums, f32(owned_ / normBlock));
  if (isShared())
    all = tape_.allGather(all, f32(buckets_.elements / normBlock), buckets_.world);
  kernels::NormSpec spec{buckets_.elements, buckets_.world, buckets_.count(buckets_.size() - 1)};
  auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildTotalNorm(b, loc, name, spec); };
  return tape_.call(kernels::totalNormSymbol(spec), build, f32(1), all)[0];
}

void UpdateProgram::build() {
  Value norm = this->norm();
  SmallVector<std::array<Value, 4>> parts; // of each bucket: parameters, moments, decay flags of the rank's share
  for (int64_t i = 0; i < buckets_.size(); ++i) {
    Type share = f32(buckets_.share(i));
    int64_t own = buckets_.shareStart(i);
    parts.push_back({isShared() ? tape_.shard(paramsOf(i), share, buckets_.world) : paramsOf(i),
                     tape_.view(argument(MeanArgument), share, own), tape_.view(argument(SquareArgument), share, own),
                     tape_.view(argument(Decay), f32(buckets_.share(i) / parameterBlock), own / parameterBlock)});
  }
  SmallVector<Value> values;
  for (int64_t i = 0; i < buckets_.size(); ++i) {
    kernels::FlatSpec spec{buckets_.share(i)};
    auto build = [&](OpBuilder &b, Location loc, StringRef name) { kernels::buildAdamW(b, loc, name, spec); };
    auto [params, mean, square, decay] = parts[i];
    SmallVector<Value> updated =
        tape_.call(kernels::adamWSymbol(spec), build, {params.getType(), mean.getType(), square.getType()},
                   {gradsOf(i), norm, argument(Hyper), decay}, {{params, 0}, {mean, 1}, {square, 2}});
    Value whole =
        isShared() ? tape_.allGather(updated[0], f32(buckets_.count(i)), buckets_.world) : updated[0];
    values.append({whole, updated[1], updated[2]});
  }
  values.push_back(norm);
  tape_.finish(values);
}

} // namespace

void addUpdateProgram(ModuleOp module, KernelSet &kernels, const GradientBuckets &buckets) {
  UpdateProgram(module, kernels, buckets).build();
}

} // namespace oriel::conversion
