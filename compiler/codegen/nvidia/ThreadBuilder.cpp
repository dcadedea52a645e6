#include "compiler/codegen/nvidia/ThreadBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace oriel::codegen::nvidia {

using V = mlir::Value;

ThreadBuilder::ThreadBuilder(tile::KernelOp kernel, ModuleOp into, int64_t threads)
    : kernel_(kernel), into_(into), threads_(threads), builder_(into.getContext()), loc_(kernel.getLoc()) {}

/// CUtensorMap, which TMA reads where the launch has put it.
static void markTensorMap(LLVM::LLVMFuncOp function, unsigned argument) {
  constexpr int64_t mapBytes = 128, mapAlignment = 128;
  Builder builder(function.getContext());
  auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), mapBytes);
  function.setArgAttr(argument, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
  function.setArgAttr(argument, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(mapAlignment));
  function.setArgAttr(argument, NVVM::NVVMDialect::getGridConstantAttrName(), builder.getUnitAttr());
}

void ThreadBuilder::openFunction(int64_t tensorMaps) {
  builder_.setInsertionPointToEnd(into_.getBody());
  auto pointer = LLVM::LLVMPointerType::get(builder_.getContext());
  size_t buffers = kernel_.getBuffers().size();
  SmallVector<Type> arguments(buffers + tensorMaps, pointer);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder_.getContext()), arguments);
  auto function = LLVM::LLVMFuncOp::create(builder_, loc_, kernel_.getSymName(), type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder_.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(), builder_.getDenseI32ArrayAttr({int32_t(threads_)}));
  // One block has all registers that its threads can name, if it wants them: ptxas would rather spill than let fewer
  // blocks in.
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder_.getI32IntegerAttr(1));
  for (int64_t map = 0; map < tensorMaps; ++map)
    markTensorMap(function, buffers + map);
  Block *entry = function.addEntryBlock(builder_);
  builder_.setInsertionPointToStart(entry);
  for (auto [buffer, argument] : llvm::zip_first(kernel_.getBuffers(), entry->getArguments()))
    scalars_.map(buffer, argument);
  llvm::append_range(tensorMaps_, entry->getArguments().drop_front(buffers));
  Type i32Type = builder_.getI32Type();
  auto coordinate = [&](unsigned dim, V block) {
    scalars_.map(kernel_.getGridIndex(dim), arith::IndexCastOp::create(builder_, loc_, builder_.getIndexType(), block));
  };
  coordinate(0, NVVM::BlockIdXOp::create(builder_, loc_, i32Type));
  coordinate(1, NVVM::BlockIdYOp::create(builder_, loc_, i32Type));
  coordinate(2, NVVM::BlockIdZOp::create(builder_, loc_, i32Type));
  sharedBase_ =
      LLVM::AddressOfOp::create(builder_, loc_, LLVM::LLVMPointerType::get(builder_.getContext(), 3), "oriel_shared");
  thread_ = NVVM::ThreadIdXOp::create(builder_, loc_, i32Type);
  lane_ = arith::RemUIOp::create(builder_, loc_, thread_, i32(32));
  warp_ = arith::DivUIOp::create(builder_, loc_, thread_, i32(32));
}

void ThreadBuilder::closeFunction() { LLVM::ReturnOp::create(builder_, loc_, ValueRange{}); }

// ---- Numbers --------------------------------------------------------------------------------------------------------

V ThreadBuilder::i32(int64_t value) { return arith::ConstantIntOp::create(builder_, loc_, value, 32); }
V ThreadBuilder::i64(int64_t value) { return arith::ConstantIntOp::create(builder_, loc_, value, 64); }
V ThreadBuilder::add(V a, V b) { return arith::AddIOp::create(builder_, loc_, a, b); }
V ThreadBuilder::mul(V a, V b) { return arith::MulIOp::create(builder_, loc_, a, b); }
void ThreadBuilder::barrier() { NVVM::Barrier0Op::create(builder_, loc_); }
void ThreadBuilder::fenceAsyncProxy() {
  MLIRContext *context = builder_.getContext();
  NVVM::FenceProxyOp::create(builder_, loc_, NVVM::ProxyKindAttr::get(context, NVVM::ProxyKind::async_shared),
                             NVVM::SharedSpaceAttr::get(context, NVVM::SharedSpace::shared_cta));
}
V ThreadBuilder::zero(Type type) { return arith::ConstantOp::create(builder_, loc_, builder_.getZeroAttr(type)); }

V ThreadBuilder::toI32(V index) { return arith::IndexCastOp::create(builder_, loc_, builder_.getI32Type(), index); }

V ThreadBuilder::toI64(V value) {
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(builder_, loc_, builder_.getI64Type(), value);
  return arith::ExtSIOp::create(builder_, loc_, builder_.getI64Type(), value);
}

V ThreadBuilder::compare(arith::CmpIPredicate predicate, V a, V b) {
  return arith::CmpIOp::create(builder_, loc_, predicate, a, b);
}

V ThreadBuilder::both(V a, V b) { return arith::AndIOp::create(builder_, loc_, a, b); }

void ThreadBuilder::lowerScalarLoad(memref::LoadOp load) {
  MemRefType type = load.getMemRefType();
  V linear = i64(0);
  for (auto [index, size] : llvm::zip(load.getIndices(), type.getShape()))
    linear = add(mul(linear, i64(size)), toI64(scalar(index)));
  auto pointer = LLVM::GEPOp::create(builder_, loc_, scalar(load.getMemRef()).getType(), type.getElementType(),
                                     scalar(load.getMemRef()), ValueRange{linear});
  scalars_.map(load.getResult(), LLVM::LoadOp::create(builder_, loc_, type.getElementType(), pointer));
}

// ---- Memory ---------------------------------------------------------------------------------------------------------

V ThreadBuilder::gep(Type element, V base, V index) {
  return LLVM::GEPOp::create(builder_, loc_, base.getType(), element, base, ValueRange{index});
}

V ThreadBuilder::sharedPointer(V byteOffset) { return gep(builder_.getI8Type(), sharedBase_, byteOffset); }

V ThreadBuilder::convertFloat(V value, Type wanted) {
  Type from = value.getType();
  if (from == wanted)
    return value;
  if (from.getIntOrFloatBitWidth() < wanted.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(builder_, loc_, wanted, value);
  return arith::TruncFOp::create(builder_, loc_, wanted, value);
}

V ThreadBuilder::variable(int64_t start) {
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointAfterValue(thread_);
  V address = LLVM::AllocaOp::create(builder_, loc_, LLVM::LLVMPointerType::get(builder_.getContext()),
                                     builder_.getI32Type(), i32(1));
  LLVM::StoreOp::create(builder_, loc_, i32(start), address);
  return address;
}

void ThreadBuilder::storeIf(V condition, V value, V pointer, Type memory, bool accumulate) {
  auto branch = scf::IfOp::create(builder_, loc_, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(&branch.getThenRegion().front());
  if (accumulate) {
    V before = LLVM::LoadOp::create(builder_, loc_, memory, pointer);
    if (memory != value.getType())
      before = arith::ExtFOp::create(builder_, loc_, value.getType(), before);
    value = arith::AddFOp::create(builder_, loc_, before, value);
  }
  if (memory != value.getType())
    value = arith::TruncFOp::create(builder_, loc_, memory, value);
  LLVM::StoreOp::create(builder_, loc_, value, pointer);
}

std::pair<V, V> ThreadBuilder::matrixElement(V buffer, V id, V column, std::optional<uint64_t> colLimit, V col) {
  auto type = cast<MemRefType>(buffer.getType());
  V row = toI64(id), at = add(toI64(column), toI64(col));
  V inside = arith::CmpIOp::create(builder_, loc_, arith::CmpIPredicate::ult, row, i64(type.getDimSize(0)));
  V fits = arith::CmpIOp::create(builder_, loc_, arith::CmpIPredicate::ult, at, i64(type.getDimSize(1)));
  inside = arith::AndIOp::create(builder_, loc_, inside, fits);
  if (colLimit) {
    V within = arith::CmpIOp::create(builder_, loc_, arith::CmpIPredicate::slt, toI64(col), i64(*colLimit));
    inside = arith::AndIOp::create(builder_, loc_, inside, within);
  }
  V base = scalar(buffer), linear = add(mul(row, i64(type.getDimSize(1))), at);
  V pointer = LLVM::GEPOp::create(builder_, loc_, base.getType(), type.getElementType(), base, ValueRange{linear});
  return {pointer, inside};
}

} // namespace oriel::codegen::nvidia
