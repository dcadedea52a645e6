// Elaboration of a model. See Elaborator.h.
#include "compiler/frontend/Elaborator.h"

#include "compiler/frontend/Arguments.h"
#include "compiler/frontend/Suggest.h"

#include <algorithm>
#include <set>
#include <string>

namespace oriel::frontend {
namespace {

/// Definitions with a meaning of their own, used or not.
constexpr std::string_view kInitStd = "init_std";

class Elaborator {
public:
  Elaborator(const ast::Model &model, const Overrides &overrides, Diagnostics &diagnostics)
      : model_(model), overrides_(overrides), diagnostics_(diagnostics), global_(std::make_shared<Scope>()) {}

  Elaborated run();

private:
  // Definitions.
  bool checkNewName(const ast::Name &name);
  void define(const ast::Definition &definition);
  void addBlock(const ast::Block &block);
  void applySettings();
  void checkOverrides();
  void warnUnused();

  // Stages.
  void expand(const ast::Pipeline &stages, const std::shared_ptr<Scope> &scope, std::vector<Element> &out);
  void expandStage(const ast::Stage &stage, const std::shared_ptr<Scope> &scope, std::vector<Element> &out);
  void expandRepeat(const ast::Stage &stage, const std::shared_ptr<Scope> &scope, std::vector<Element> &out);
  void expandResidual(const ast::Stage &stage, const std::shared_ptr<Scope> &scope, std::vector<Element> &out);
  void expandUse(const ast::Stage &use, const std::shared_ptr<Scope> &scope, std::vector<Element> &out);
  void expandValue(const ast::Stage &use, const Binding &binding, std::vector<Element> &out);
  void expandBlock(size_t number, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                   std::vector<Element> &out);
  void bindBlock(const ast::Block &block, const ast::Stage &use, const std::shared_ptr<Scope> &scope, Scope &inner);
  void addLayer(const LayerSpec &spec, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                std::vector<Element> &out);
  static void addUnknown(const ast::Stage &use, std::vector<Element> &out);
  void unknownStage(const ast::Stage &use, const Scope &scope, std::vector<Element> &out);

  // Limits and numbers.
  bool step(SourceRange range);
  bool isStopped() const { return isStopped_ || diagnostics_.isFull(); }
  void joinLayer();

  const ast::Model &model_;
  const Overrides &overrides_;
  Diagnostics &diagnostics_;
  std::shared_ptr<Scope> global_;
  BlockTable blocks_;
  std::set<std::string_view> usedBlocks_;
  Elaborated result_;
  int64_t steps_ = 0;
  int depth_ = 0;                   ///< Blocks and stage arguments we are inside of.
  int nesting_ = 0;                 ///< Blocks and residual streams we are inside of: no numbers are given there.
  int repeats_ = 0;                 ///< Repeats we are inside of.
  int64_t openLayer_ = kUnnumbered; ///< The numbered layer that stages join now.
  bool isStopped_ = false;
};

// ---------------------------------------------------------------------------------------------------------------------
// Definitions
// ---------------------------------------------------------------------------------------------------------------------

Elaborated Elaborator::run() {
  for (const ast::Model::Item &item : model_.items) {
    if (item.definition)
      define(*item.definition);
    else
      addBlock(*item.block);
  }
  checkOverrides();
  applySettings();
  expand(model_.body, global_, result_.elements);
  if (!diagnostics_.hasErrors())
    warnUnused();
  global_->bindings.clear(); // Stages among the values hold the scope: break the cycle.
  return std::move(result_);
}

/// Names of layers and words cannot be taken; nor can a name be taken twice.
bool Elaborator::checkNewName(const ast::Name &name) {
  if (findLayer(name.text) || isWord(name.text)) {
    diagnostics_.error(name.range,
                       quoted(name.text) +
                           (findLayer(name.text) ? " is the name of a layer" : " is a word of the language"),
                       "choose another name");
    return false;
  }
  if (auto it = global_->bindings.find(name.text); it != global_->bindings.end()) {
    diagnostics_.error(name.range, quoted(name.text) + " is defined twice", "keep one of the two",
                       {{it->second.definition, "it was defined here"}});
    return false;
  }
  if (size_t block = blocks_.find(name.text); block < blocks_.size()) {
    diagnostics_.error(name.range, quoted(name.text) + " is defined twice", "keep one of the two",
                       {{blocks_[block].name.range, "it was defined here"}});
    return false;
  }
  return true;
}

void Elaborator::define(const ast::Definition &definition) {
  Value value = evaluate(*definition.value, global_, blocks_, diagnostics_);
  for (const auto &[name, text] : overrides_) {
    if (name != definition.name.text)
      continue;
    value = parseLiteral(text);
    if (isUnknown(value))
      diagnostics_.error("parameter " + quoted(name) + " cannot be " + quoted(text),
                         "give a number or a word such as silu");
  }
  if (checkNewName(definition.name))
    global_->bindings[definition.name.text] = {std::move(value), definition.name.range, false};
}

void Elaborator::addBlock(const ast::Block &block) {
  if (!checkNewName(block.name))
    return;
  std::set<std::string_view> names;
  for (const auto *list : {&block.parameters, &block.locals})
    for (const ast::Definition &parameter : *list) {
      if (findLayer(parameter.name.text) || isWord(parameter.name.text))
        checkNewName(parameter.name);
      else if (!names.insert(parameter.name.text).second)
        diagnostics_.error(parameter.name.range, quoted(parameter.name.text) + " is defined twice",
                           "keep one of the two");
    }
  blocks_.add(block);
  global_->visibleBlocks = blocks_.size();
}

void Elaborator::applySettings() {
  auto it = global_->bindings.find(kInitStd);
  if (it == global_->bindings.end() || isUnknown(it->second.value))
    return;
  it->second.isUsed = true;
  const Value &value = it->second.value;
  double std = -1;
  if (auto *number = std::get_if<double>(&value))
    std = *number;
  else if (auto *integer = std::get_if<int64_t>(&value))
    std = static_cast<double>(*integer);
  if (std > 0 && std <= 100)
    result_.initStd = std;
  else
    diagnostics_.error(it->second.definition,
                       "'init_std' takes a number above 0 and up to 100, not " + quoted(toText(value)),
                       "it is the standard deviation of the initial weights: init_std = 0.02");
}

void Elaborator::checkOverrides() {
  for (const auto &[name, text] : overrides_) {
    if (global_->bindings.contains(name))
      continue;
    diagnostics_.error("model " + quoted(model_.name.text) + " has no parameter " + quoted(name) +
                       didYouMean(name, visibleNames(*global_)));
  }
}

void Elaborator::warnUnused() {
  for (const auto &[name, binding] : global_->bindings)
    if (!binding.isUsed)
      diagnostics_.warning(binding.definition, quoted(name) + " is never used" + didYouMean(name, {kInitStd}));
  for (size_t i = 0; i < blocks_.size(); ++i)
    if (!usedBlocks_.contains(blocks_[i].name.text))
      diagnostics_.warning(blocks_[i].name.range, "block " + quoted(blocks_[i].name.text) + " is never used");
}

// ---------------------------------------------------------------------------------------------------------------------
// Limits and numbers
// ---------------------------------------------------------------------------------------------------------------------

/// Counts work. False once a limit is reached; everything then winds down.
bool Elaborator::step(SourceRange range) {
  if (isStopped())
    return false;
  if (++steps_ > kMaxStages) {
    diagnostics_.error(range, "the model unrolls to more than " + std::to_string(kMaxStages) + " stages",
                       "repeat less");
    isStopped_ = true;
  }
  return !isStopped_;
}

/// A stage that is no block, standing directly in the model or a repeat: opens a numbered layer if it needs one.
void Elaborator::joinLayer() {
  if (nesting_ == 0 && repeats_ > 0 && openLayer_ == kUnnumbered)
    openLayer_ = result_.layerCount++;
}

// ---------------------------------------------------------------------------------------------------------------------
// Stages
// ---------------------------------------------------------------------------------------------------------------------

void Elaborator::expand(const ast::Pipeline &stages, const std::shared_ptr<Scope> &scope, std::vector<Element> &out) {
  for (const ast::Stage &stage : stages) {
    if (!step(stage.range))
      return;
    expandStage(stage, scope, out);
  }
}

void Elaborator::expandStage(const ast::Stage &stage, const std::shared_ptr<Scope> &scope, std::vector<Element> &out) {
  switch (stage.kind) {
  case ast::StageKind::Repeat:
    return expandRepeat(stage, scope, out);
  case ast::StageKind::Residual:
    return expandResidual(stage, scope, out);
  case ast::StageKind::Use:
    return expandUse(stage, scope, out);
  }
}

void Elaborator::expandRepeat(const ast::Stage &stage, const std::shared_ptr<Scope> &scope, std::vector<Element> &out) {
  if (!stage.count)
    return; // A syntax error.
  Value value = evaluate(*stage.count, scope, blocks_, diagnostics_);
  int64_t count = 1; // With a wrong count the body is still looked at once.
  if (auto *integer = std::get_if<int64_t>(&value); integer && *integer >= 0 && *integer <= kMaxRepeat)
    count = *integer;
  else if (!isUnknown(value))
    diagnostics_.error(stage.count->range, "'repeat' takes a whole number from 0 to " + std::to_string(kMaxRepeat) +
                                               ", not " + quoted(toText(value)));
  ++repeats_;
  for (int64_t i = 0; i < count && step(stage.range); ++i) {
    if (nesting_ == 0)
      openLayer_ = kUnnumbered;
    expand(stage.body, scope, out);
  }
  --repeats_;
  if (nesting_ == 0)
    openLayer_ = kUnnumbered;
}

void Elaborator::expandResidual(const ast::Stage &stage, const std::shared_ptr<Scope> &scope,
                                std::vector<Element> &out) {
  joinLayer();
  ++result_.residualCount;
  Element element;
  element.isResidual = true;
  element.range = stage.name.range;
  element.number = openLayer_;
  ++nesting_;
  expand(stage.body, scope, element.body);
  --nesting_;
  out.push_back(std::move(element));
}

void Elaborator::expandUse(const ast::Stage &use, const std::shared_ptr<Scope> &scope, std::vector<Element> &out) {
  if (Binding *binding = scope->find(use.name.text)) {
    binding->isUsed = true;
    return expandValue(use, Binding(*binding), out);
  }
  if (const LayerSpec *spec = findLayer(use.name.text))
    return addLayer(*spec, use, scope, out);
  if (size_t block = blocks_.find(use.name.text); block < scope->visibleBlocks)
    return expandBlock(block, use, scope, out);
  unknownStage(use, *scope, out);
}

/// A name that holds stages: they are put here as they were written there.
void Elaborator::expandValue(const ast::Stage &use, const Binding &binding, std::vector<Element> &out) {
  if (isUnknown(binding.value))
    return addUnknown(use, out);
  auto *stages = std::get_if<StagesValue>(&binding.value);
  if (!stages) {
    addUnknown(use, out);
    diagnostics_.error(use.range, quoted(use.name.text) + " is " + quoted(toText(binding.value)) + " here, not a layer",
                       "a stage is a layer, a block, or a name that holds one",
                       {{binding.definition, "it was defined here"}});
    return;
  }
  if (use.hasParentheses) {
    addUnknown(use, out);
    diagnostics_.error(use.range, quoted(use.name.text) + " has its arguments already",
                       "write just " + std::string(use.name.text), {{binding.definition, "they were given here"}});
    return;
  }
  if (++depth_ > kMaxExpansionDepth) {
    diagnostics_.error(use.range,
                       "stages stand inside each other more than " + std::to_string(kMaxExpansionDepth) + " deep");
    isStopped_ = true;
  } else if (stages->stages) {
    expand(*stages->stages, stages->scope, out);
  } else {
    ast::Stage bare;
    bare.name = stages->name;
    bare.range = stages->name.range;
    expandUse(bare, stages->scope, out);
  }
  --depth_;
}

void Elaborator::expandBlock(size_t number, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                             std::vector<Element> &out) {
  const ast::Block &block = blocks_[number];
  usedBlocks_.insert(block.name.text);
  if (use.isBroken)
    return addUnknown(use, out);
  if (++depth_ > kMaxExpansionDepth) {
    diagnostics_.error(use.range,
                       "blocks stand inside each other more than " + std::to_string(kMaxExpansionDepth) + " deep");
    isStopped_ = true;
    --depth_;
    return;
  }
  auto inner = std::make_shared<Scope>();
  inner->parent = global_;
  inner->visibleBlocks = number;
  bindBlock(block, use, scope, *inner);
  for (const ast::Definition &local : block.locals) {
    Value value = evaluate(*local.value, inner, blocks_, diagnostics_);
    inner->bindings[local.name.text] = {std::move(value), local.name.range, false};
  }
  bool isLayer = nesting_ == 0;
  if (isLayer)
    openLayer_ = result_.layerCount++;
  ++nesting_;
  expand(block.body, inner, out);
  --nesting_;
  if (isLayer)
    openLayer_ = kUnnumbered;
  inner->bindings.clear(); // Stages among the values may hold the scope: break the cycle.
  --depth_;
}

void Elaborator::bindBlock(const ast::Block &block, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                           Scope &inner) {
  std::vector<Formal> formals;
  for (const ast::Definition &parameter : block.parameters)
    formals.push_back({parameter.name.text, true, nullptr});
  auto [actuals, hasStray] = bindArguments(use, formals, scope, blocks_, diagnostics_);
  auto defaults = std::make_shared<Scope>();
  defaults->parent = global_;
  defaults->visibleBlocks = inner.visibleBlocks;
  for (size_t i = 0; i < actuals.size(); ++i) {
    const ast::Definition &parameter = block.parameters[i];
    Binding &binding = inner.bindings[parameter.name.text];
    binding.definition = actuals[i] ? actuals[i]->range : parameter.name.range;
    if (actuals[i])
      binding.value = std::move(actuals[i]->value);
    else if (parameter.value)
      binding.value = evaluate(*parameter.value, defaults, blocks_, diagnostics_);
    else if (!hasStray)
      diagnostics_.error(use.range, "block " + quoted(block.name.text) + " needs " + quoted(parameter.name.text),
                         "write " + std::string(block.name.text) + "(" +
                             std::string(block.parameters.size() > 1 ? "…, " : "") + std::string(parameter.name.text) +
                             " = …)",
                         {{parameter.name.range, "it has no default"}});
  }
}

void Elaborator::addLayer(const LayerSpec &spec, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                          std::vector<Element> &out) {
  joinLayer();
  Element element;
  element.range = use.range;
  element.number = openLayer_;
  if (use.isBroken) // What is missing may be the parser's loss; only look at what is there.
    for (const ast::Argument &argument : use.arguments)
      evaluate(*argument.value, scope, blocks_, diagnostics_);
  else
    element.layer = resolveLayer(spec, use, scope, blocks_, diagnostics_);
  element.layer.number = openLayer_;
  out.push_back(std::move(element));
}

/// Stands for a stage that had errors.
void Elaborator::addUnknown(const ast::Stage &use, std::vector<Element> &out) {
  Element unknown;
  unknown.range = unknown.layer.range = use.range;
  out.push_back(std::move(unknown));
}

void Elaborator::unknownStage(const ast::Stage &use, const Scope &scope, std::vector<Element> &out) {
  addUnknown(use, out);
  if (size_t block = blocks_.find(use.name.text); block < blocks_.size()) {
    bool isSelf = use.range.begin >= blocks_[block].range.begin && use.range.end <= blocks_[block].range.end;
    diagnostics_.error(
        use.range, "block " + quoted(use.name.text) + (isSelf ? " cannot contain itself" : " is defined further down"),
        isSelf ? "use repeat, or pass the inner part as an argument" : "move it above its first use");
    return;
  }
  if (isWord(use.name.text)) {
    diagnostics_.error(use.name.range, quoted(use.name.text) + " is a word, not a layer",
                       "options stand in parentheses behind a layer, as in unembed(tied)");
    return;
  }
  std::vector<std::string_view> candidates = visibleNames(scope);
  for (const LayerSpec &layer : layerSpecs())
    candidates.push_back(layer.name);
  for (size_t i = 0; i < scope.visibleBlocks; ++i)
    candidates.push_back(blocks_[i].name.text);
  static constexpr std::string_view kKeywords[] = {"residual", "repeat", "block"};
  candidates.insert(candidates.end(), std::begin(kKeywords), std::end(kKeywords));
  std::string_view best = nearest(use.name.text, candidates);
  const LayerSpec *layer = findLayer(best);
  bool isKeyword = std::find(std::begin(kKeywords), std::end(kKeywords), best) != std::end(kKeywords);
  std::string kind = layer ? std::string(layer->role) : best.empty() || isKeyword ? "layer or block" : "block";
  if (layer &&
      (layer->kind == LayerKind::Embed || layer->kind == LayerKind::Unembed || layer->kind == LayerKind::CrossEntropy))
    kind = "layer";
  std::vector<std::string_view> layers;
  for (const LayerSpec &known : layerSpecs())
    layers.push_back(known.name);
  diagnostics_.error(use.name.range,
                     "unknown " + kind + " " + quoted(use.name.text) + didYouMean(use.name.text, candidates),
                     best.empty() ? "the layers are " + listOf(layers, "and") : "");
}

} // namespace

Elaborated elaborate(const ast::Model &model, const Overrides &overrides, Diagnostics &diagnostics) {
  return Elaborator(model, overrides, diagnostics).run();
}

} // namespace oriel::frontend
