// Turns one tile.kernel into one llvm.func whose body is what every thread of a block executes, with tiles in
// registers.
//
// A tile is a list of slots: the elements that the thread holds, in the order of its layout (Layout.h). Elementwise ops
// work slot by slot, reductions by shuffles, products on mma.sync whose accumulators are slots. Only what products read
// from other threads, and what moves between layouts, goes through shared memory; barriers stand where that needs them
// (Hazards.h). Control flow is uniform: bounds and conditions come from the grid and from buffers, never from the
// thread.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_REGISTERLOWERING_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_REGISTERLOWERING_H

#include "compiler/codegen/nvidia/BufferAccess.h"
#include "compiler/codegen/nvidia/Hazards.h"
#include "compiler/codegen/nvidia/ThreadBuilder.h"
#include "compiler/codegen/nvidia/TilePlacement.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace oriel::codegen::nvidia {

class RegisterLowering : ThreadBuilder {
public:
  /// Emits the function at the end of `into`; the external global `oriel_shared` must be there.
  RegisterLowering(tile::KernelOp kernel, mlir::ModuleOp into, const TilePlacement &placement);

  mlir::LogicalResult run();

  /// Which stage of a pipeline an iteration works on, and the parity of the phase in which that is filled (null where no
  /// copy is TMA's); i32.
  struct StageCursor {
    Value stage, parity;
  };

private:
  using Slots = llvm::SmallVector<Value>;

  // Control and the slots of tiles (RegisterLowering.cpp).
  mlir::LogicalResult lowerBlock(mlir::Block &block);
  mlir::LogicalResult lowerOp(mlir::Operation &op);
  mlir::LogicalResult lowerFor(mlir::scf::ForOp loop);
  mlir::LogicalResult lowerIf(mlir::scf::IfOp branch);
  // Loops whose copies run ahead (PipelineLowering.cpp).
  mlir::LogicalResult lowerPipelined(mlir::scf::ForOp loop, const Pipeline &pipeline);
  StageCursor openCursor(const Pipeline &pipeline);
  void closeCursor(const Pipeline &pipeline, StageCursor cursor);
  StageCursor next(const Pipeline &pipeline, StageCursor cursor);
  void startIteration(mlir::scf::ForOp loop, const Pipeline &pipeline, Value counter, Value stage);
  void waitForIteration(const Pipeline &pipeline, StageCursor cursor);
  void enterStage(const Pipeline &pipeline, Value stage);
  void appendSlots(Value tile, const Layout &layout, Slots &into);
  Slots flatten(mlir::ValueRange values, mlir::ValueRange layouts);
  void unflatten(mlir::ValueRange values, mlir::ValueRange flat);
  /// Makes `slots` the value of `tile`, and fills its home if it has one.
  void define(Value tile, Slots slots);
  /// Slot (i, j) of a tile in its own layout.
  Value slot(Value tile, int64_t i, int64_t j);
  /// What slot (i, j) of a tile of `shape` in `layout` sees of `tile`: broadcast, moved through the home if need be.
  Value read(Value tile, const Layout &layout, llvm::ArrayRef<int64_t> shape, int64_t i, int64_t j);
  /// Announces that an op reads `tile` in `layout`, so that its home is complete.
  void prepareRead(Value tile, const Layout &layout);

  // A thread's place (ThreadPlaces.cpp).
  Value warpIndex(const LayoutDim &dim);
  Value laneIndex(const LayoutDim &dim);
  /// A place along a dimension: what the thread decides, i32, and what is known here. Kept apart, so that the slots of
  /// a tile share one address and differ in the constant that load and store instructions add to it.
  struct Coordinate {
    Value dynamic;
    int64_t constant = 0;
  };
  Coordinate place(const LayoutDim &dim, int64_t size, int64_t slot);
  Coordinate shifted(Coordinate at, int64_t by) { return {at.dynamic, at.constant + by}; }
  Value number(Coordinate at) { return add(at.dynamic, i32(at.constant)); }
  /// Whether this thread is the one that answers for its slots: of the copies of an element one is stored. Null: all
  /// are.
  Value isOwner(const Layout &layout, llvm::ArrayRef<int64_t> shape);

  // Homes (ThreadPlaces.cpp).
  Value homePointer(Value base, Coordinate row, Coordinate col);
  Value swizzledPlace(const Home &home, Coordinate row, Value colBytes);
  void fillHome(Value base, const Layout &layout, llvm::function_ref<Value(int64_t, int64_t)> element);
  Resource homeResource(Value base);
  Resource bufferResource(Value buffer);
  void apply(Ordering ordering);
  void readResource(const Resource &resource);
  void beginWrite(const Resource &resource) { apply(hazards_.beforeWrite(resource)); }

  // Buffers (BufferLowering.cpp).
  /// The rows and columns of a buffer that the slots of a tile meet.
  struct Window;
  Window openWindow(const BufferAccess &access);
  Value bufferPointer(Value buffer, mlir::Type element, const Window &window, Coordinate row, Coordinate col);
  Value loadVector(Value pointer, mlir::Type element, int64_t count);
  void lowerLoad(tile::LoadOp op);
  void copyHome(tile::LoadOp op);
  void copyPieces(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerGather(tile::GatherOp op);
  void lowerScatterAdd(tile::ScatterAddOp op);

  // Copies by TMA (TensorCopyLowering.cpp).
  void initMbarriers();
  Value mbarrierPointer(int64_t number, Value stage);
  /// Emits what one thread of the block does; all call it.
  void byElectedThread(llvm::function_ref<void()> body);
  /// Starts `loads`, which complete a phase of the mbarrier at that place.
  void startTensorCopies(llvm::ArrayRef<tile::LoadOp> loads, Value mbarrier);
  void copyPanels(tile::LoadOp op, mlir::ValueRange coordinates, Value mbarrier);
  void waitForPhase(Value mbarrier, Value parity);
  void copyHomeByTma(tile::LoadOp op);
  void waitForTensorCopy(int64_t mbarrier);

  // Elementwise and reductions (ElementLowering.cpp).
  void lowerFill(tile::FillOp op);
  void lowerMap(tile::MapOp op);
  void lowerCast(tile::CastOp op);
  mlir::LogicalResult lowerReduce(tile::ReduceOp op);
  Value combine(tile::ReduceKind kind, Value a, Value b);
  Value shuffle(Value value, int64_t laneMask);
  /// A value that the lanes of a warp agree on, made so that ptxas knows it, too: it and what is computed from it then
  /// need none of the threads' registers. Never moved out of a loop.
  Value uniform(Value value);
  void exchangeAcrossWarps(tile::ReduceOp op, const LayoutDim &along, const LayoutDim &across, int64_t acrossSize,
                           Slots &partial);

  // Products (ProductLowering.cpp, Fragments.cpp).
  struct Operand;
  struct Product;
  void lowerDot(tile::DotOp op);
  Product productOf(tile::DotOp op);
  void multiplyStep(const Product &product, Coordinate k, int64_t step, Slots &sums);
  void lowerVectorDot(tile::DotOp op);
  using Parts = llvm::SmallVector<Slots, 2>; // a fragment as the sum of one or two
  Slots multiply(const Slots &a, const Slots &b, const Slots &accumulator, bool isBf16);
  Slots multiplyParts(const Parts &a, const Parts &b, Slots accumulator, bool isBf16);
  Slots fragmentFromSlots(const Operand &operand, int64_t rowTile, int64_t step);
  Slots firstFragment(const Operand &operand, Coordinate row, Coordinate k);
  Slots secondFragments(const Operand &operand, Coordinate col, Coordinate k, int64_t tiles);
  Slots loadMatrices(const Operand &operand, Coordinate outer, Coordinate inner, int64_t count);
  Value loadPair(const Operand &operand, Coordinate outer, Coordinate inner, Value &second);
  Value packBf16(Value first, Value second);
  Parts tf32Parts(const Slots &values, int count);

  // Products of warpgroups (WarpgroupProducts.cpp). They run while their threads go on; `inFlight_` are the tiles whose
  // registers are not there yet.
  struct WarpgroupProduct;
  struct WarpgroupRows;
  void lowerWarpgroupDot(tile::DotOp op);
  WarpgroupProduct openWarpgroupProduct(tile::DotOp op);
  Value matrixDescriptor(const Operand &operand, Value part, int64_t partSize);
  int64_t descriptorStep(const Operand &operand, int64_t step);
  void multiplyRows(WarpgroupProduct &product, WarpgroupRows &rows);
  /// Results of inline assembly that gives a struct.
  Slots emitAssembly(mlir::Type type, mlir::ValueRange operands, llvm::StringRef text, llvm::StringRef constraints);
  Slots takeInFlight(Value tile);
  /// Waits for the product whose result is `tile`, if it is in flight, and for all older ones.
  void waitForProduct(Value tile);
  void waitForAllProducts();
  /// Emits the wait for the oldest `count` products; their registers become those that it gives.
  void landProducts(size_t count);

  const TilePlacement &placement_;
  Hazards hazards_;
  llvm::SmallVector<Resource> readsOfOp_;     // of the op that is being lowered
  llvm::SmallVector<Value> inFlight_;         // oldest first; null where a later product goes on with the registers
  llvm::DenseMap<Value, Slots> registers_;    // of tiles that are neither fills nor views
  llvm::DenseMap<Value, Value> stageOffsets_; // of homes with stages: bytes to the stage of this iteration, i32
  llvm::DenseMap<int64_t, Value> parities_;   // of mbarriers of single loads: variables, the last copy's phase
  llvm::DenseMap<const Pipeline *, StageCursor> cursors_; // of pipelines with copies by TMA: variables
};

} // namespace oriel::codegen::nvidia

#endif
