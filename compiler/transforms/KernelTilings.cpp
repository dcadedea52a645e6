#include "compiler/transforms/KernelTilings.h"

#include "compiler/transforms/AloneWithGradient.h"
#include "dialects/tile/BlockShape.h"
#include "dialects/tile/TileOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

constexpr llvm::StringLiteral tilesAttr = "tape.tiles";

/// Kernels whose tiles are a question: the words in front of their symbols.
constexpr llvm::StringLiteral ofAttention[] = {"attn_fwd", "attn_dq", "attn_dkdv"};
constexpr llvm::StringLiteral ofLinearAttention[] = {"rla_bwd", "rla_fwd", "rla_states", "rla_cotangents"};

constexpr int64_t mostRegisters = 255; // of a thread

/// The kernel's own tiles, then others.
SmallVector<schedule::Tiling> tilesOf(Operation *op) {
  SmallVector<schedule::Tiling> tiles = {{}};
  if (isa<lm::AttentionOp>(op)) {
    int64_t tokens = cast<ShapedType>(op->getOperand(0).getType()).getDimSize(1);
    for (int64_t rows : {32, 64, 128})
      for (int64_t columns : {32, 64, 128})
        if (rows < 2 * tokens && columns < 2 * tokens)
          tiles.push_back({rows, columns, 0, 0});
    return tiles;
  }
  int64_t width = cast<ShapedType>(op->getOperand(2).getType()).getShape().back();
  for (int64_t columns : {32, 64})
    if (columns <= width)
      tiles.push_back({0, columns, 0, 0});
  return tiles;
}

ArrayRef<llvm::StringLiteral> kernelsOf(Operation *op) {
  return isa<lm::AttentionOp>(op) ? ArrayRef<llvm::StringLiteral>(ofAttention) : ofLinearAttention;
}

DictionaryAttr marksOf(MLIRContext *context, ArrayRef<std::pair<StringRef, schedule::Tiling>> tilings) {
  Builder builder(context);
  SmallVector<NamedAttribute> marks;
  for (auto [kernel, t] : tilings)
    marks.push_back(
        builder.getNamedAttr(kernel, builder.getDenseI64ArrayAttr({t.rows, t.columns, t.warps, t.stages})));
  return builder.getDictionaryAttr(marks);
}

schedule::Tiling tilingOf(Attribute mark) {
  ArrayRef<int64_t> numbers = cast<DenseI64ArrayAttr>(mark).asArrayRef();
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

DictionaryAttr givenTilesOf(Operation *op) { return op->getAttrOfType<DictionaryAttr>(givenTilesAttr); }

bool isGiven(Operation *op, StringRef kernel) {
  DictionaryAttr given = givenTilesOf(op);
  return given && given.contains(kernel);
}

void setMarks(ArrayRef<Operation *> halves, DictionaryAttr marks) {
  for (Operation *half : halves)
    if (half && marks && !marks.empty())
      half->setAttr(tilesAttr, marks);
    else if (half)
      half->removeAttr(tilesAttr);
}

std::string keyOf(const std::string &kind, const schedule::MixerWay *way) {
  return way ? kind + " " + schedule::chunkWordsOf(*way) : kind;
}

} // namespace

/// A kernel with some tiles and the code generator's block, as a trial lowered it.
struct KernelTilings::Form {
  schedule::Tiling asked, tiles; // zeros for the kernel's own; what they are, if that is known
  OwningOpRef<ModuleOp> module;
  tile::KernelOp kernel;
  schedule::Work work;
};

/// Adds to `forms` the kernels that `alone` becomes, by what stands in front of their symbols.
LogicalResult KernelTilings::addForms(ModuleOp alone, schedule::Tiling tiles,
                                      std::map<std::string, std::vector<Form>> &forms) {
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowering_.run(alone);
  if (failed(lowered))
    return failure();
  for (auto call : (*lowered)->lookupSymbol<tape::ProgramOp>("vjp").getOps<tape::CallOp>())
    for (auto &[name, known] : forms) {
      StringRef symbol = call.getCallee();
      if (!symbol.starts_with(name + "_"))
        continue;
      auto same = llvm::find_if(known, [&](const Form &form) { return form.work.action == symbol; });
      if (same != known.end()) {
        if (same->asked == schedule::Tiling())
          same->tiles = tiles;
        continue;
      }
      OwningOpRef<ModuleOp> module = ModuleOp::create(call.getLoc());
      auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(call, call.getCalleeAttr());
      schedule::Work work = workOf(call);
      kernel->moveBefore(module->getBody(), module->getBody()->end());
      known.push_back({tiles, tiles, std::move(module), kernel, work});
    }
  return success();
}

schedule::TilingCandidate KernelTilings::candidateOf(const Form &form, const KernelDemand &demand) const {
  schedule::TilingCandidate candidate;
  candidate.rows = form.tiles.rows;
  candidate.columns = form.tiles.columns;
  candidate.warps = schedule::warpsOf(demand.block);
  candidate.stages = demand.block.stages;
  candidate.registers = demand.block.registers;
  candidate.sharedBytes = demand.block.sharedBytes;
  candidate.time = model_.estimate(form.work, demand.block);
  return candidate;
}

/// The forms, with all blocks that may be if there is a choice: which is the fastest that an assembler takes?
schedule::Tiling KernelTilings::solve(MutableArrayRef<Form> forms, bool hasBlockChoice,
                                      schedule::TilingQuestion &question) {
  struct Choice {
    size_t form;
    tile::BlockShape asked;
  };
  SmallVector<Choice> choices;
  auto plan = [&](size_t form, tile::BlockShape shape) {
    tile::setBlockShape(forms[form].kernel, shape);
    KernelDemand demand = probe_->plan(forms[form].kernel);
    schedule::TilingCandidate candidate = candidateOf(forms[form], demand);
    bool isKnown = llvm::any_of(question.candidates, [&](const schedule::TilingCandidate &known) {
      return static_cast<const schedule::Tiling &>(known) == candidate;
    });
    bool isFirst = choices.empty();
    bool fits = demand.block.registers <= mostRegisters && refusalOf("", demand, model_.device).empty();
    if (!isFirst && (isKnown || !fits))
      return demand.block.stages;
    question.candidates.push_back(candidate);
    choices.push_back({form, shape});
    return demand.block.stages;
  };
  for (size_t form = 0; form < forms.size(); ++form) {
    plan(form, {});
    if (!hasBlockChoice)
      continue;
    for (int64_t warps : {4, 8})
      for (int64_t stages : {4, 3, 2, 1})
        if (plan(form, {warps, stages}) == 1)
          break; // nothing can be ahead, or nothing is
  }
  SmallVector<schedule::Tiling> shown(question.candidates.begin(), question.candidates.end());
  schedule::solveTiling(question, [&](size_t i) -> std::string {
    Form &form = forms[choices[i].form];
    tile::setBlockShape(form.kernel, choices[i].asked);
    KernelDemand demand = probe_->ask(form.kernel);
    if (std::string why = refusalOf("", demand, model_.device); !why.empty())
      return StringRef(why).ltrim(": ").str();
    schedule::TilingCandidate &candidate = question.candidates[i];
    candidate.registers = demand.block.registers;
    candidate.time = model_.estimate(form.work, demand.block);
    return {};
  });
  size_t answer = llvm::find(shown, question.candidates.front()) - shown.begin();
  const Choice &choice = choices[answer];
  return {forms[choice.form].asked.rows, forms[choice.form].asked.columns, choice.asked.warps, choice.asked.stages};
}

/// "rows 64 warps 8": what a person gave.
static std::string wordsOfGiven(const schedule::Tiling &given) {
  std::string words;
  for (auto [word, number] : {std::pair("rows", given.rows), std::pair("columns", given.columns),
                              std::pair("warps", given.warps), std::pair("stages", given.stages)})
    if (number)
      words += llvm::formatv("{0}{1} {2}", words.empty() ? "" : " ", word, number);
  return words;
}

/// Why a kernel cannot have the tiles that a person gave; empty if it can.
static std::string refusalOfGiven(const schedule::Tiling &given, const KernelDemand &demand,
                                  const schedule::DeviceDescriptor &device) {
  if (std::string why = refusalOf("", demand, device); !why.empty())
    return StringRef(why).ltrim(": ").str();
  if (given.stages && given.stages != demand.block.stages)
    return llvm::formatv("no copy of its loops can run ahead, so that there is 1 stage");
  return {};
}

LogicalResult KernelTilings::takeGiven(ModuleOp alone, ArrayRef<Operation *> halves, const std::string &kind,
                                       const schedule::MixerWay *way) {
  DictionaryAttr given = givenTilesOf(halves.front());
  std::map<std::string, std::vector<Form>> forms;
  for (NamedAttribute tiles : given)
    forms[tiles.getName().str()];
  setMarks(halves, given);
  if (failed(addForms(alone, {}, forms)))
    return failure();
  for (NamedAttribute tiles : given) {
    std::string kernel = tiles.getName().str();
    if (forms[kernel].empty())
      return halves.front()->emitError() << "tiles are given for " << kernel << ", which does not run";
    Form &form = forms[kernel].front();
    form.tiles = tilingOf(tiles.getValue());
    KernelDemand demand = probe_->ask(form.kernel);
    if (std::string why = refusalOfGiven(form.tiles, demand, model_.device); !why.empty())
      return halves.front()->emitError() << kernel << " cannot have the given tiles (" << wordsOfGiven(form.tiles)
                                         << "): " << why;
    schedule::TilingQuestion question;
    question.kernel = form.work.action;
    question.way = way ? schedule::chunkWordsOf(*way) : "";
    question.isGiven = true;
    question.candidates.push_back(candidateOf(form, demand));
    question.candidates.back().assembled = true;
    questions_.push_back({kind, kernel, std::move(question)});
  }
  return success();
}

FailureOr<DictionaryAttr> KernelTilings::decide(ModuleOp alone, ArrayRef<Operation *> halves, const std::string &kind,
                                                const schedule::MixerWay *way) {
  Operation *forward = halves.front();
  SmallVector<std::pair<StringRef, schedule::Tiling>> answers;
  if (DictionaryAttr given = givenTilesOf(forward)) {
    if (failed(takeGiven(alone, halves, kind, way)))
      return failure();
    for (NamedAttribute tiles : given)
      answers.emplace_back(tiles.getName(), tilingOf(tiles.getValue()));
  }
  SmallVector<StringRef> asked(llvm::make_filter_range(
      kernelsOf(forward), [&](StringRef kernel) { return !isGiven(forward, kernel); }));
  std::map<std::string, std::vector<Form>> forms;
  for (StringRef kernel : asked)
    forms[kernel.str()];
  for (schedule::Tiling tiles : asked.empty() ? SmallVector<schedule::Tiling>() : tilesOf(forward)) {
    SmallVector<std::pair<StringRef, schedule::Tiling>> all;
    for (StringRef kernel : asked)
      all.emplace_back(kernel, tiles);
    setMarks(halves, marksOf(forward->getContext(), tiles == schedule::Tiling() ? decltype(all)() : all));
    if (failed(addForms(alone, tiles, forms)))
      return failure();
  }
  for (StringRef kernel : asked) {
    std::vector<Form> &ofKernel = forms[kernel.str()];
    if (ofKernel.empty())
      continue;
    schedule::TilingQuestion question;
    question.kernel = ofKernel.front().work.action;
    question.way = way ? schedule::chunkWordsOf(*way) : "";
    schedule::Tiling answer = solve(ofKernel, /*hasBlockChoice=*/!way, question);
    if (answer != schedule::Tiling())
      answers.emplace_back(kernel, answer);
    bool isRefused = !question.candidates.front().assembled;
    questions_.push_back({kind, kernel.str(), std::move(question)});
    if (isRefused && way)
      break; // and so is the way: what its other kernels are like does not matter
  }
  return marks_[keyOf(kind, way)] = marksOf(forward->getContext(), answers);
}

/// What the kernels that were decided for take, under the names that they got.
LogicalResult KernelTilings::learn(ModuleOp alone) {
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowering_.run(alone);
  if (failed(lowered))
    return failure();
  for (auto kernel : (*lowered)->getOps<tile::KernelOp>())
    if (StringRef symbol = kernel.getSymName();
        llvm::any_of(ofAttention, [&](StringRef name) { return symbol.starts_with(name); }))
      if (KernelDemand demand = probe_->ask(kernel); demand.error.empty())
        model_.blocks[symbol.str()] = demand.block;
  return success();
}

LogicalResult KernelTilings::decideAttention(func::FuncOp function) {
  auto module = function->getParentOfType<ModuleOp>();
  for (auto op : function.getOps<lm::AttentionOp>()) {
    std::string kind = kindOf(op);
    if (!probe_ || marks_.contains(kind))
      continue;
    FailureOr<OwningOpRef<ModuleOp>> alone = aloneWithGradient(op.getOperation());
    if (failed(alone))
      return failure();
    auto vjp = (*alone)->lookupSymbol<func::FuncOp>("vjp");
    SmallVector<Operation *> halves;
    vjp.walk([&](Operation *half) {
      if (isa<lm::AttentionOp, lm::AttentionGradOp>(half))
        halves.push_back(half);
    });
    if (DictionaryAttr given = givenTilesOf(op))
      halves.back()->setAttr(givenTilesAttr, given);
    if (failed(decide(**alone, halves, kind, nullptr)))
      return failure();
    marks_[kindOf(halves.back())] = marks_[kind];
    setMarks(halves, marks_[kind]);
    if (failed(learn(**alone)))
      return failure();
  }
  module.walk([&](Operation *op) {
    if (!isa<lm::AttentionOp, lm::AttentionGradOp>(op))
      return;
    if (auto found = marks_.find(kindOf(op)); found != marks_.end())
      setMarks(op, found->second);
    else if (DictionaryAttr given = givenTilesOf(op))
      setMarks(op, given);
  });
  return success();
}

LogicalResult KernelTilings::decideMixer(ModuleOp alone, const MixerSite &site, const schedule::MixerWay &way) {
  if (!isa<lm::ResidualLinearAttentionOp>(site.forward))
    return success();
  std::string kind = kindOf(site.forward);
  if (probe_ && !marks_.contains(keyOf(kind, &way)))
    if (failed(decide(alone, {site.forward, site.gradient}, kind, &way)))
      return failure();
  mark(site, way);
  return success();
}

void KernelTilings::mark(const MixerSite &site, const schedule::MixerWay &way) const {
  std::string kind = kindOf(site.forward);
  auto found = marks_.find(keyOf(kind, &way));
  bool isDecided = found != marks_.end() && !withdrawn_.contains(kind + schedule::wordsOf(way));
  setMarks({site.forward, site.gradient}, isDecided ? found->second : givenTilesOf(site.forward));
}

bool KernelTilings::withdraw(const MixerSite &site, const schedule::MixerWay &way) {
  std::string kind = kindOf(site.forward), chunk = keyOf(kind, &way);
  if (givenTilesOf(site.forward))
    return false;
  if (!site.forward->hasAttr(tilesAttr))
    ownRefused_.insert(chunk);
  if (ownRefused_.contains(chunk))
    return false;
  withdrawn_.insert(kind + schedule::wordsOf(way));
  mark(site, way);
  return true;
}

std::vector<schedule::TilingQuestion> KernelTilings::questionsOf(const StepSites &sites) const {
  std::vector<schedule::TilingQuestion> questions;
  for (const Decided &decided : questions_) {
    schedule::TilingQuestion question = decided.question;
    for (const OpSite &site : sites.ops)
      if (kindOf(site.op) == decided.kind)
        question.ops.push_back(site.path);
    if (!question.ops.empty())
      questions.push_back(std::move(question));
  }
  return questions;
}

/// "given", or "predicted 0.310 ms; next: rows 64 columns 64 warps 4 stages 3, 0.330 ms"; empty without a question.
std::string KernelTilings::whyOf(Operation *op, StringRef kernel) const {
  if (isGiven(op, kernel))
    return "given";
  std::string kind = kindOf(op);
  DictionaryAttr marks = op->getAttrOfType<DictionaryAttr>(tilesAttr);
  for (const Decided &decided : questions_) {
    auto known = marks_.find(decided.question.way.empty() ? kind : kind + " " + decided.question.way);
    if (decided.kind != kind || decided.kernel != kernel || known == marks_.end() || known->second != marks)
      continue;
    ArrayRef<schedule::TilingCandidate> candidates = decided.question.candidates;
    std::string why = llvm::formatv("predicted {0:f3} ms", candidates[0].time.seconds * 1e3);
    if (candidates.size() > 1)
      why += llvm::formatv("; next: {0}, {1:f3} ms", schedule::wordsOf(candidates[1]), candidates[1].time.seconds * 1e3);
    return why;
  }
  return {};
}

void KernelTilings::write(OpBuilder &builder, const StepSites &sites) const {
  auto number = [&](int64_t n) { return n ? builder.getI64IntegerAttr(n) : IntegerAttr(); };
  for (const OpSite &site : sites.ops) {
    auto marks = site.op->getAttrOfType<DictionaryAttr>(tilesAttr);
    for (NamedAttribute mark : marks ? marks.getValue() : ArrayRef<NamedAttribute>()) {
      schedule::Tiling tiling = tilingOf(mark.getValue());
      std::string why = whyOf(site.op, mark.getName());
      tape::TilesOp::create(builder, site.op->getLoc(), builder.getStringAttr(site.path),
                            *tape::symbolizeTiledKernel(mark.getName()), number(tiling.rows), number(tiling.columns),
                            number(tiling.warps), number(tiling.stages),
                            why.empty() ? StringAttr() : builder.getStringAttr(why));
    }
  }
}

} // namespace oriel::transforms
