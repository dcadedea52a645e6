#include "compiler/transforms/MixerCandidates.h"

#include "compiler/transforms/MixerFusion.h"
#include "compiler/transforms/Passes.h"
#include "dialects/lm/LmDialect.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace oriel::transforms {
namespace {

/// What two mixers have in common when they cost the same: name, types, attributes without those of the tape.
std::string kindOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << op->getName() << " : ";
  llvm::interleaveComma(op->getOperandTypes(), out);
  for (NamedAttribute attribute : op->getAttrs())
    if (!attribute.getName().strref().starts_with("tape."))
      out << " " << attribute.getName() << "=" << attribute.getValue();
  return text;
}

/// A module with @vjp: the mixer, alone between arguments and results, and its gradient.
FailureOr<OwningOpRef<ModuleOp>> aloneWithGradient(Operation *mixer) {
  Location loc = mixer->getLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto type = builder.getFunctionType(mixer->getOperandTypes(), mixer->getResult(0).getType());
  auto function = func::FuncOp::create(builder, loc, "mixer", type);
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping arguments;
  arguments.map(mixer->getOperands(), body->getArguments());
  Operation *copy = builder.clone(*mixer, arguments);
  func::ReturnOp::create(builder, loc, copy->getResult(0));
  SmallVector<Attribute> wrt;
  for (int64_t i = 0; i < 3; ++i) // q, k, v
    wrt.push_back(builder.getI64IntegerAttr(i));
  function->setAttr(lm::kVjpAttr, builder.getDictionaryAttr({
                                      builder.getNamedAttr("wrt", builder.getArrayAttr(wrt)),
                                      builder.getNamedAttr("cotangents", builder.getBoolArrayAttr({true})),
                                  }));
  PassManager pm(module->getContext());
  pm.addPass(createDifferentiatePass());
  if (failed(pm.run(*module)))
    return failure();
  return module;
}

bool isReadByOthersThan(Operation *op, Operation *other, const StepCosts::Piece &piece) {
  return llvm::any_of(piece.readers, [&](Operation *reader) { return reader != op && reader != other; });
}

} // namespace

bool isFusible(const MixerSite &site) {
  auto linear = dyn_cast<lm::ResidualLinearAttentionOp>(site.forward);
  return linear && findFusion(linear);
}

bool isStateOf(const MixerSite &site, const StepCosts::Piece &piece) {
  return piece.maker == site.forward && site.gradient && llvm::is_contained(piece.readers, site.gradient) &&
         !isReadByOthersThan(site.forward, site.gradient, piece);
}

bool isScratchOf(const MixerSite &site, const StepCosts::Piece &piece) {
  return site.gradient && piece.maker == site.gradient && !isReadByOthersThan(site.gradient, nullptr, piece);
}

FailureOr<schedule::MixerCandidate> MixerCandidates::measure(ModuleOp alone, const MixerChoice &choice) const {
  auto function = alone.lookupSymbol<func::FuncOp>("vjp");
  StepSites sites = findStepSites(function);
  if (sites.mixers.size() != 1 || !sites.mixers[0].gradient)
    return function.emitError("the gradient of a recurrent mixer does not have the mixer's operands first");
  const MixerSite &site = sites.mixers[0];
  markMixer(site, choice);
  FailureOr<OwningOpRef<ModuleOp>> lowered = lowering_.run(alone);
  if (failed(lowered))
    return failure();
  StepCosts costs(function, (*lowered)->lookupSymbol<tape::ProgramOp>("vjp"), model_);
  schedule::MixerCandidate candidate;
  candidate.chunk = choice.chunk;
  candidate.saveEvery = choice.saveEvery;
  candidate.forwardSeconds = costs.secondsOf(site.forward);
  candidate.backwardSeconds = costs.secondsOf(site.gradient);
  for (const StepCosts::Piece &piece : costs.pieces()) {
    candidate.savedBytes += isStateOf(site, piece) ? piece.bytes : 0;
    candidate.scratchBytes += isScratchOf(site, piece) ? piece.bytes : 0;
  }
  return candidate;
}

/// The fused kernel leaves out eight walks over a result in the forward and five in the backward (three writes and five
/// reads of what stands between the mixers and the sum; the norms' gradients read it once). The window attention itself
/// is in neither time, so that candidates of both forms compare.
void MixerCandidates::fuse(const MixerSite &site, schedule::MixerCandidate &candidate) const {
  double walk =
      static_cast<double>(tape::sizeInBytes(site.forward->getResult(0).getType())) / model_.device.memoryBytesPerSecond;
  candidate.fused = true;
  candidate.forwardSeconds = std::max(0.0, candidate.forwardSeconds - 8 * walk);
  candidate.backwardSeconds = std::max(0.0, candidate.backwardSeconds - 5 * walk);
}

FailureOr<schedule::MixerCandidate> MixerCandidates::of(const MixerSite &site, const MixerChoice &choice) {
  FailureOr<OwningOpRef<ModuleOp>> alone = aloneWithGradient(site.forward);
  if (failed(alone))
    return failure();
  FailureOr<schedule::MixerCandidate> candidate = measure(**alone, {choice.chunk, choice.saveEvery, false});
  if (succeeded(candidate) && choice.fused)
    fuse(site, *candidate);
  return candidate;
}

FailureOr<std::vector<schedule::MixerCandidate>> MixerCandidates::of(const MixerSite &site) {
  auto [known, isNew] = known_.try_emplace(kindOf(site.forward) + (isFusible(site) ? " fusible" : ""));
  if (!isNew)
    return known->second;
  FailureOr<OwningOpRef<ModuleOp>> alone = aloneWithGradient(site.forward);
  if (failed(alone))
    return failure();
  int64_t tokens = cast<lm::RecurrentMixerOpInterface>(site.forward).getRowTokens();
  for (int64_t chunk : {32, 64, 128, 256}) {
    if (chunk > 32 && chunk / 2 >= tokens)
      break;
    int64_t chunks = (tokens + chunk - 1) / chunk;
    for (int64_t saveEvery : {1, 2, 4, 8, 16}) {
      if (saveEvery > 1 && saveEvery / 2 >= chunks)
        break;
      FailureOr<schedule::MixerCandidate> candidate = measure(**alone, {chunk, saveEvery, false});
      if (failed(candidate))
        return failure();
      known->second.push_back(*candidate);
      if (isFusible(site)) {
        fuse(site, *candidate);
        known->second.push_back(*candidate);
      }
    }
  }
  return known->second;
}

} // namespace oriel::transforms
