// The elaborated model as an lm module: @loss and @logits over one list of parameters. See Frontend.h.
#include "compiler/frontend/Frontend.h"

#include "compiler/frontend/LayerBuilder.h"
#include "compiler/frontend/Parameters.h"
#include "compiler/frontend/Sema.h"

#include "dialects/lm/LmDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace oriel::frontend {
namespace {

/// Rows times tokens of one micro-batch. Keeps element counts of activations inside 64 bits.
constexpr int64_t kMaxBatchTokens = int64_t(1) << 26;

StringRef initName(Init init) {
  switch (init) {
  case Init::Normal:
    return "normal";
  case Init::Zeros:
    return "zeros";
  case Init::Ones:
    return "ones";
  }
  llvm_unreachable("unknown init");
}

class Importer {
public:
  Importer(MLIRContext &context, const SourceFile &file, const Model &model, const ImportOptions &options)
      : builder_(&context), file_(file), model_(model), parameters_(parametersOf(model)) {
    shapeBT_ = {options.batch, options.tokens};
  }

  OwningOpRef<ModuleOp> run() {
    auto line = FileLineColLoc::get(builder_.getContext(), file_.path(), 1, 1);
    OwningOpRef<ModuleOp> module = ModuleOp::create(line);
    module->getOperation()->setAttr(lm::kModelAttr, builder_.getStringAttr(model_.name));
    module->getOperation()->setAttr(lm::kBatchAttr, builder_.getI64IntegerAttr(shapeBT_[0]));
    module->getOperation()->setAttr(lm::kTokensAttr, builder_.getI64IntegerAttr(shapeBT_[1]));
    module->getOperation()->setAttr(lm::kVocabAttr, builder_.getI64IntegerAttr(model_.vocab));
    builder_.setInsertionPointToEnd(module->getBody());
    buildLoss();
    builder_.setInsertionPointToEnd(module->getBody());
    buildLogits();
    return module;
  }

private:
  struct Input {
    StringRef role;
    RankedTensorType type;
  };

  RankedTensorType f32(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder_.getF32Type()); }
  RankedTensorType i32(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder_.getI32Type()); }

  DictionaryAttr paramAttr(const Parameter &parameter) {
    SmallVector<NamedAttribute> fields;
    fields.push_back(builder_.getNamedAttr("name", builder_.getStringAttr(parameter.name)));
    fields.push_back(builder_.getNamedAttr("init", builder_.getStringAttr(initName(parameter.init))));
    fields.push_back(builder_.getNamedAttr("std", builder_.getF64FloatAttr(parameter.std)));
    fields.push_back(builder_.getNamedAttr("decay", builder_.getBoolAttr(parameter.decay)));
    return builder_.getDictionaryAttr(fields);
  }

  /// A function of the inputs and then all parameters, with its entry block; fills `arguments_`.
  func::FuncOp beginFunction(StringRef name, ArrayRef<Input> inputs, RankedTensorType result) {
    SmallVector<Type> types;
    for (const Input &input : inputs)
      types.push_back(input.type);
    for (const Parameter &parameter : parameters_)
      types.push_back(f32(parameter.shape));
    Location loc =
        NameLoc::get(builder_.getStringAttr(name), FileLineColLoc::get(builder_.getContext(), file_.path(), 1, 1));
    auto function = func::FuncOp::create(builder_, loc, name, builder_.getFunctionType(types, {result}));
    Block *block = function.addEntryBlock();
    builder_.setInsertionPointToEnd(block);
    arguments_.clear();
    auto nameArgument = [&](size_t i, StringRef argument) {
      block->getArgument(i).setLoc(NameLoc::get(builder_.getStringAttr(argument), loc));
    };
    for (auto [i, input] : llvm::enumerate(inputs)) {
      function.setArgAttr(i, lm::kRoleAttr, builder_.getStringAttr(input.role));
      nameArgument(i, input.role);
    }
    for (auto [i, parameter] : llvm::enumerate(parameters_)) {
      function.setArgAttr(inputs.size() + i, lm::kParamAttr, paramAttr(parameter));
      nameArgument(inputs.size() + i, parameter.name);
      arguments_[parameter.name] = block->getArgument(inputs.size() + i);
    }
    return function;
  }

  /// From tokens to what goes into the unembedding, `[B,T,M]`.
  Value buildTrunk(LayerBuilder &layers, Value tokens) {
    return buildElements(layers, model_.trunk, layers.embed(model_.embed, tokens));
  }

  Value buildElements(LayerBuilder &layers, const std::vector<Element> &elements, Value x) {
    for (const Element &element : elements)
      x = element.isResidual ? layers.residual(element, x, buildElements(layers, element.body, x))
                             : layers.layer(element.layer, x);
    return x;
  }

  Value unembedding(const LayerBuilder &layers) {
    return layers.parameter(model_.isTied() ? model_.embed : model_.unembed, "weight");
  }
  llvm::APFloat softCap() { return llvm::APFloat(model_.unembed.numberOr("soft_cap", 0)); }

  void buildLoss() {
    RankedTensorType type = i32(shapeBT_);
    func::FuncOp function = beginFunction("loss", {{"tokens", type}, {"targets", type}, {"doc_start", type}}, f32({1}));
    LayerBuilder layers(builder_, file_, arguments_, function.getArgument(2));
    Value x = buildTrunk(layers, function.getArgument(0));
    Location loc = layers.location("loss", model_.unembed.range);
    Value loss =
        lm::CrossEntropyOp::create(builder_, loc, f32({1}), x, unembedding(layers), function.getArgument(1), softCap());
    func::ReturnOp::create(builder_, loc, loss);
  }

  void buildLogits() {
    RankedTensorType type = i32(shapeBT_), resultType = f32({shapeBT_[0], model_.vocab});
    func::FuncOp function =
        beginFunction("logits", {{"tokens", type}, {"doc_start", type}, {"position", i32({shapeBT_[0]})}}, resultType);
    LayerBuilder layers(builder_, file_, arguments_, function.getArgument(1));
    Value x = buildTrunk(layers, function.getArgument(0));
    Location loc = layers.location("unembed", model_.unembed.range);
    Value logits =
        lm::LogitsOp::create(builder_, loc, resultType, x, unembedding(layers), function.getArgument(2), softCap());
    func::ReturnOp::create(builder_, loc, logits);
  }

  OpBuilder builder_;
  const SourceFile &file_;
  const Model &model_;
  std::vector<Parameter> parameters_;
  SmallVector<int64_t, 2> shapeBT_;
  llvm::StringMap<Value> arguments_;
};

void checkOptions(const ImportOptions &options, Diagnostics &diagnostics) {
  if (options.batch < 1 || options.tokens < 1 || options.batch > kMaxBatchTokens || options.tokens > kMaxBatchTokens ||
      options.batch * options.tokens > kMaxBatchTokens)
    diagnostics.error("a micro-batch of " + std::to_string(options.batch) + " rows of " +
                          std::to_string(options.tokens) + " tokens cannot be imported",
                      "both are at least 1, and their product is at most 2^26");
}

} // namespace

FailureOr<OwningOpRef<ModuleOp>> importModel(MLIRContext &context, StringRef path, StringRef text,
                                             const ImportOptions &options, raw_ostream &errors) {
  SourceFile file(std::string_view(path.data(), path.size()), std::string_view(text.data(), text.size()));
  Diagnostics diagnostics(file);
  checkOptions(options, diagnostics);
  std::optional<Model> model = loadModel(file, options.parameters, diagnostics);
  errors << diagnostics.render();
  if (!model || diagnostics.hasErrors())
    return failure();
  context.loadDialect<lm::LmDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = Importer(context, file, *model, options).run();
  if (failed(verify(*module)))
    return failure(); // The context's diagnostic handler has the reason; it is a bug of the frontend.
  return module;
}

} // namespace oriel::frontend
