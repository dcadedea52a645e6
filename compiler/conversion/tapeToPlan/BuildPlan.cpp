#include "compiler/conversion/tapeToPlan/BuildPlan.h"

#include "compiler/conversion/tapeToPlan/BuildSteps.h"
#include "runtime/base/Hash.h"

using namespace mlir;

namespace oriel::conversion {
namespace {

constexpr uint64_t parameterBlock = 256; // elements; as conversion/lmToTape lays parameters out

int64_t integer(ModuleOp module, StringRef name) {
  auto attr = module->getAttrOfType<IntegerAttr>(name);
  return attr ? attr.getInt() : 0;
}

void addParameters(ModuleOp module, plan::Plan &plan) {
  auto list = module->getAttrOfType<ArrayAttr>("tape.parameters");
  if (!list)
    return;
  for (Attribute item : list) {
    auto entry = cast<DictionaryAttr>(item);
    plan::Parameter *parameter = plan.add_parameters();
    parameter->set_name(entry.getAs<StringAttr>("name").str());
    for (int64_t size : entry.getAs<DenseI64ArrayAttr>("shape").asArrayRef())
      parameter->add_shape(size);
    parameter->set_offset(entry.getAs<IntegerAttr>("offset").getInt());
    parameter->set_init(entry.getAs<StringAttr>("init").str());
    parameter->set_init_std(entry.getAs<FloatAttr>("std").getValueAsDouble());
    parameter->set_decay(entry.getAs<BoolAttr>("decay").getValue());
  }
  plan.set_parameter_block(parameterBlock);
  plan.set_parameter_elements(integer(module, "tape.parameter_elements"));
  if (auto starts = module->getAttrOfType<DenseI64ArrayAttr>("tape.bucket_starts"))
    plan.mutable_bucket_starts()->Add(starts.asArrayRef().begin(), starts.asArrayRef().end());
}

/// The caller's buffers among the places, each once, in order.
template <typename GetPlace>
void addNames(const plan::Plan &plan, unsigned count, GetPlace placeOf,
              google::protobuf::RepeatedPtrField<std::string> *names) {
  for (unsigned i = 0; i < count; ++i) {
    std::string name = placeOf(i).getBuffer().str();
    for (const plan::Buffer &buffer : plan.buffers())
      if (buffer.name() == name && buffer.placement() == plan::IO && !llvm::is_contained(*names, name))
        *names->Add() = name;
  }
}

/// The decisions of the module: about its one entry point with a backward half.
void addSchedule(ModuleOp module, plan::EntryPoint &entry) {
  for (auto decision : module.getOps<tape::ScheduleOp>()) {
    plan::Decision *added = entry.add_schedule();
    added->set_path(decision.getPath().str());
    added->set_chunk(static_cast<int64_t>(decision.getChunk().value_or(0)));
    added->set_save_every(static_cast<int64_t>(decision.getSaveEvery().value_or(0)));
    added->set_two_pass(decision.getTwoPass());
    added->set_fused(decision.getFused());
    added->set_tile(static_cast<int64_t>(decision.getTile().value_or(0)));
    added->set_recompute(decision.getAction() == tape::Action::Recompute);
    added->set_why(decision.getWhy().value_or("").str());
  }
}

LogicalResult addEntry(tape::ProgramOp program, const PlanBuffers &buffers, const PlanOptions &options,
                       plan::Plan &plan) {
  plan::EntryPoint *entry = plan.add_entry_points();
  entry->set_name(program.getSymName().str());
  entry->set_arena_bytes(program.getArenaBytes().value_or(0));
  if (program.getSymName() == "micro" || program.getSymName() == "vjp")
    addSchedule(program->getParentOfType<ModuleOp>(), *entry);
  plan.set_arena_bytes(std::max(plan.arena_bytes(), entry->arena_bytes()));
  addNames(
      plan, program.getNumArguments(), [&](unsigned i) { return program.getArgumentPlace(i); },
      entry->mutable_inputs());
  addNames(
      plan, program.getNumResults(), [&](unsigned i) { return program.getResultPlace(i); }, entry->mutable_outputs());
  return buildSteps(program, buffers, options, *entry);
}

void addModelFacts(ModuleOp module, plan::Plan &plan) {
  if (auto name = module->getAttrOfType<StringAttr>("lm.model"))
    plan.set_model(name.str());
  if (auto flops = module->getAttrOfType<FloatAttr>("tape.flops_per_token"))
    plan.set_flops_per_token(flops.getValueAsDouble());
  plan.set_batch(integer(module, "lm.batch"));
  plan.set_tokens(integer(module, "lm.tokens"));
  plan.set_vocab(integer(module, "lm.vocab"));
  plan::MeshAxis *axis = plan.add_mesh();
  axis->set_name("fsdp");
  axis->set_size(std::max<int64_t>(integer(module, "tape.world"), 1));
}

} // namespace

std::string fingerprintOf(ModuleOp module, const plan::Target &target) {
  std::string text, targetText;
  llvm::raw_string_ostream stream(text);
  module->print(stream); // without locations: where a line stands changes no number
  target.SerializeToString(&targetText);
  runtime::Hasher hasher;
  return hasher.addField(text).addField(targetText).hex();
}

FailureOr<PlanArtifact> buildPlan(ModuleOp module, const PlanOptions &options) {
  PlanArtifact artifact;
  plan::Plan &plan = artifact.plan;
  plan.set_format_version(1);
  plan.set_producer(options.producer);
  *plan.mutable_target() = options.target;
  plan.set_model_text(options.modelText);
  plan.set_fingerprint(fingerprintOf(module, options.target));
  addModelFacts(module, plan);
  addParameters(module, plan);
  FailureOr<PlanBuffers> buffers = PlanBuffers::collect(module, plan, artifact.constants);
  if (failed(buffers))
    return failure();
  for (auto program : module.getOps<tape::ProgramOp>())
    if (failed(addEntry(program, *buffers, options, plan)))
      return failure();
  if (!artifact.constants.empty())
    plan.set_constants_checksum(runtime::hashHex({artifact.constants.data(), artifact.constants.size()}));
  return artifact;
}

} // namespace oriel::conversion
