#include "compiler/conversion/tapeToPlan/PlanBuffers.h"

using namespace mlir;

namespace oriel::conversion {

plan::DType dtypeOf(Type elementType) {
  return elementType.isF32() ? plan::F32 : elementType.isBF16() ? plan::BF16 : plan::I32;
}

std::string arenaName(tape::ProgramOp program) { return (tape::arenaBuffer + "." + program.getSymName()).str(); }

unsigned PlanBuffers::add(plan::Plan &plan, StringRef name, RankedTensorType type, plan::Placement placement) {
  unsigned index = plan.buffers_size();
  plan::Buffer *buffer = plan.add_buffers();
  buffer->set_name(name.str());
  buffer->set_dtype(dtypeOf(type.getElementType()));
  for (int64_t size : type.getShape())
    buffer->add_shape(size);
  buffer->set_bytes(tape::sizeInBytes(type));
  buffer->set_placement(placement);
  indices_[name] = index;
  return index;
}

void PlanBuffers::addState(ModuleOp module, plan::Plan &plan) {
  auto elementsAttr = module->getAttrOfType<IntegerAttr>("tape.parameter_elements");
  if (!elementsAttr)
    return;
  auto integer = [&](StringRef name) { return module->getAttrOfType<IntegerAttr>(name).getInt(); };
  int64_t elements = elementsAttr.getInt(), slots = integer("tape.grad_slots"), world = integer("tape.world");
  auto flat = [&](int64_t n) { return RankedTensorType::get({n}, Float32Type::get(module.getContext())); };
  add(plan, "params", flat(elements), plan::STATE);
  plan::Buffer *grads = plan.mutable_buffers(add(plan, "grads", flat(elements), plan::STATE));
  grads->set_slot_bytes(grads->bytes());
  grads->set_bytes(grads->bytes() * slots);
  add(plan, "adam_m", flat(elements / world), plan::STATE);
  add(plan, "adam_v", flat(elements / world), plan::STATE);
}

LogicalResult PlanBuffers::addCallerBuffer(Operation *op, plan::Plan &plan, tape::PlaceAttr place, Type type) {
  auto tensor = cast<RankedTensorType>(type);
  auto known = indices_.find(place.getBuffer());
  if (known == indices_.end()) {
    add(plan, place.getBuffer(), tensor, plan::IO);
    return success();
  }
  const plan::Buffer &buffer = plan.buffers(known->second);
  if (buffer.placement() != plan::IO)
    return success();
  if (static_cast<int64_t>(buffer.bytes()) != tape::sizeInBytes(type) ||
      buffer.dtype() != dtypeOf(tensor.getElementType()))
    return op->emitError() << "buffer '" << place.getBuffer() << "' is used with two types, one of them " << type;
  return success();
}

void PlanBuffers::addArena(plan::Plan &plan, tape::ProgramOp program) {
  int64_t bytes = program.getArenaBytes().value_or(0);
  if (bytes == 0)
    return;
  auto type = RankedTensorType::get({bytes / 4}, Float32Type::get(program.getContext()));
  add(plan, arenaName(program), type, plan::ARENA);
}

/// Appends the bytes of a table at its place.
static void writeTable(tape::ConstantOp constant, std::vector<char> &bytes) {
  auto place = cast<tape::PlaceAttr>((*constant.getAt())[0]);
  int64_t size = tape::sizeInBytes(constant.getType());
  if (static_cast<int64_t>(bytes.size()) < place.getOffset() + size)
    bytes.resize(place.getOffset() + size);
  char *target = bytes.data() + place.getOffset();
  auto table = cast<DenseElementsAttr>(constant.getValue());
  if (!table.isSplat()) {
    llvm::copy(table.getRawData(), target);
    return;
  }
  int64_t width = table.getRawData().size();
  for (int64_t at = 0; at < size; at += width)
    llvm::copy(table.getRawData(), target + at);
}

void PlanBuffers::addConstants(ModuleOp module, plan::Plan &plan, std::vector<char> &bytes) {
  module.walk([&](tape::ConstantOp constant) { writeTable(constant, bytes); });
  if (bytes.empty())
    return;
  bytes.resize((bytes.size() + 63) / 64 * 64);
  auto type = RankedTensorType::get({static_cast<int64_t>(bytes.size() / 4)}, Float32Type::get(module.getContext()));
  add(plan, tape::constantsBuffer, type, plan::CONSTANT);
}

FailureOr<PlanBuffers> PlanBuffers::collect(ModuleOp module, plan::Plan &plan, std::vector<char> &constants) {
  PlanBuffers buffers;
  buffers.addState(module, plan);
  for (auto program : module.getOps<tape::ProgramOp>()) {
    for (auto [i, type] : llvm::enumerate(program.getArgumentTypes()))
      if (failed(buffers.addCallerBuffer(program, plan, program.getArgumentPlace(i), type)))
        return failure();
    for (auto [i, type] : llvm::enumerate(program.getResultTypes()))
      if (failed(buffers.addCallerBuffer(program, plan, program.getResultPlace(i), type)))
        return failure();
    buffers.addArena(plan, program);
  }
  buffers.addConstants(module, plan, constants);
  return buffers;
}

plan::Ref PlanBuffers::refTo(tape::ProgramOp program, tape::PlaceAttr place) const {
  std::string name = place.getBuffer() == tape::arenaBuffer ? arenaName(program) : place.getBuffer().str();
  plan::Ref ref;
  ref.set_buffer(indices_.lookup(name));
  ref.set_byte_offset(place.getOffset());
  ref.set_rank_stride(place.getRankStride());
  return ref;
}

} // namespace oriel::conversion
