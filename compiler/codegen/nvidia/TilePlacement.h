// Where each tile of a kernel lives: in registers, with a layout; in shared memory, as a home that products read; or
// both.
//
// Tiles of one shape that elementwise ops, products' accumulators and loops tie together form a class and have one
// layout, so that none of them moves. What a class is used for votes on its orientation: the first operand of a product
// wants its rows along the dimension of 16, a reduced dimension wants to stay inside a warp. A transposed tile is its
// source seen the other way round; nothing is copied.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_TILEPLACEMENT_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_TILEPLACEMENT_H

#include "compiler/codegen/nvidia/Layout.h"
#include "compiler/codegen/nvidia/NvidiaCodegen.h"
#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include <optional>

namespace oriel::codegen::nvidia {

/// A tile as its source sees it.
struct TileView {
  mlir::Value base;
  bool isTransposed = false;
};
/// Looks through tile.transpose.
TileView viewOf(mlir::Value tile);

/// A tile in shared memory: rows of `cols` elements, `rowBytes` apart. Rows of 16-bit elements are an odd number of
/// 16-byte units apart, so that the 8 rows of an 8x8 matrix (ldmatrix) lie in different banks.
///
/// Of f32 a fragment takes 8 columns at a time: pairs from rows g = 0…3, then 4…7, where a row lies along K; or one
/// element each from rows 2t, t = 0…3, where a column does (Fragments.cpp). The banks are four units of 32 bytes wide,
/// and these four rows must lie in four different ones. Rows are an odd number of units apart, which serves the first
/// kind; in rows 4…7 of each 8 units 2n and 2n+1 change places, which serves the second and leaves the first as it is:
///
///   row                       0    1    2    3    4    5    6    7
///   bank of unit 0            0    1    2    3    1    2    3    0
///
/// What wgmma reads is swizzled instead: panels of `swizzleBytes` of every row, one panel after the other, the 16-byte
/// units of a row permuted by its number (WarpgroupInstruction.h).
struct Home {
  int64_t offset = 0; // bytes from the start of shared memory
  int64_t rowBytes = 0;
  int64_t rows = 0, cols = 0;
  bool isTransposed = false; // stored as the transpose of the tile
  bool swapsUnits = false;   // of 32 bytes, in rows 4…7 of each 8
  int64_t swizzleBytes = 0;  // 0: not swizzled
  int64_t stages = 1;        // places for as many iterations of the loop that fills it
  int64_t stageBytes() const { return rows * rowBytes; }
  int64_t bytes() const { return stages * stageBytes(); }
  int64_t panelBytes() const { return rows * swizzleBytes; }
  int64_t alignment() const { return swizzleBytes ? 8 * swizzleBytes : 16; }
};

/// How one product runs: with `swapped`, the result's transpose is computed, from the operands' transposes in the other
/// order, so that the dimension of 16 of the instruction goes along the result's columns.
struct ProductPlan {
  bool swapped = false;
  bool firstInRegisters = false; // the operand of 16 rows comes from the registers of another tile
  bool isOfWarpgroups = false;   // wgmma, by groups of 4 warps; otherwise mma.sync, by warps
};

/// Loads of a loop that are started `stages` - 1 iterations ahead (Pipelining.h).
struct Pipeline {
  llvm::SmallVector<tile::LoadOp> loads;
  int64_t stages = 1;
  int64_t firstMbarrier = 0; // of `stages`, where some loads are copied by TMA
};

/// A load that is copied by TMA (TensorCopies.h).
struct TensorCopy {
  int64_t map = 0;      // of tensorMaps()
  int64_t mbarrier = 0; // its own, or the first of its pipeline's
};

class TilePlacement {
public:
  /// Plans `kernel` for blocks of `warps` warps, with `stages` iterations of each loop that allows it in shared memory,
  /// on a GPU that has wgmma or not.
  TilePlacement(tile::KernelOp kernel, int64_t warps, int64_t stages, bool hasWgmma);

  int64_t warps() const { return warps_; }
  /// Whether every class has one orientation: a tile that a loop carries to its own transpose has none.
  bool isConsistent() const { return isConsistent_; }
  int64_t sharedBytes() const { return sharedBytes_; }
  /// Most registers that hold tiles at one time, of one thread.
  int64_t peakRegisters() const { return peakRegisters_; }

  /// Layout of a tile that is no fill.
  Layout layoutOf(mlir::Value tile) const;
  /// Whether products alone read this load, which therefore goes past the registers.
  bool isOnlyAtHome(mlir::Value base) const { return onlyAtHome_.contains(base); }
  const Home *homeOf(mlir::Value base) const {
    auto found = homes_.find(base);
    return found == homes_.end() ? nullptr : &found->second;
  }
  /// Null for a loop that starts nothing ahead.
  const Pipeline *pipelineOf(mlir::scf::ForOp loop) const {
    auto found = pipelines_.find(loop);
    return found == pipelines_.end() ? nullptr : &found->second;
  }
  /// Of the loops that start copies ahead; 1 if none does.
  int64_t stages() const { return pipelines_.empty() ? 1 : pipelines_.begin()->second.stages; }
  /// Null for a load that is not copied by TMA.
  const TensorCopy *tensorCopyOf(mlir::Value base) const {
    auto found = tensorCopies_.find(base);
    return found == tensorCopies_.end() ? nullptr : &found->second;
  }
  llvm::ArrayRef<NvidiaTensorMap> tensorMaps() const { return tensorMaps_; }
  int64_t mbarriers() const { return mbarriers_; }
  /// Byte of shared memory.
  int64_t mbarrierOffset(int64_t number) const { return mbarrierOffset_ + number * mbarrierBytes; }
  ProductPlan planOf(tile::DotOp dot) const { return products_.lookup(dot); }
  /// Whether any product is wgmma.
  bool usesWarpgroups() const { return usesWarpgroups_; }
  /// The share of wgmma in the arithmetic of products, each counted once.
  double warpgroupShare() const;
  /// Shared memory where warps exchange partial results of reductions.
  int64_t exchangeOffset() const { return exchangeOffset_; }

private:
  static constexpr int64_t mbarrierBytes = 8;

  struct Class {
    int64_t rows = 0, cols = 0; // as the class's first value sees them
    int columnVotes = 0;        // for the major dimension along columns, less those for rows
    bool isAccumulator = false;
    std::optional<Layout> layout;
  };
  struct Member {
    unsigned number;
    bool isTransposed;
  };

  void formClasses();
  void joinResults(mlir::Operation &op);
  void join(mlir::Value a, mlir::Value b, bool mayMove = false);
  Member find(mlir::Value value) const;
  void vote(mlir::Value value, bool majorIsCols, int weight);
  void voteByUse();
  void chooseLayouts();
  void adoptNeighbours();
  bool adopt(mlir::Value vector, const Layout &layout);
  void planProducts();
  bool fitsWarpgroups(tile::DotOp dot, const ProductPlan &plan) const;
  int64_t sharedOutBytes(tile::DotOp dot, const ProductPlan &plan) const;
  Home plannedHome(mlir::Value base) const;
  void swizzleHomes();
  void requireHomes();
  void requireHome(mlir::Value tile, mlir::Operation *reader);
  void planPipelines(int64_t stages);
  void planTensorCopies();
  int64_t mapNumber(const NvidiaTensorMap &map);
  void requireIfMoved(mlir::Value tile, const Layout &reader, mlir::Operation *op);
  void placeHomes();
  void countRegisters();

  tile::KernelOp kernel_;
  int64_t warps_;
  bool hasWgmma_, usesWarpgroups_ = false;
  bool hasProducts_ = false, isConsistent_ = true;
  llvm::SmallVector<mlir::Value> values_;       // that are neither fills nor views
  llvm::DenseMap<mlir::Value, Member> members_; // their classes
  llvm::SmallVector<Class> classes_;
  llvm::DenseSet<mlir::Value> onlyAtHome_;
  llvm::MapVector<mlir::Value, Home> homes_; // in the order in which they were asked for
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Operation *>> homeReaders_;
  llvm::DenseMap<mlir::Operation *, ProductPlan> products_;
  llvm::DenseMap<mlir::Operation *, Pipeline> pipelines_;        // by their loops
  llvm::DenseMap<mlir::Value, mlir::Operation *> pipelineLoops_; // of the loads that are started ahead
  llvm::DenseMap<mlir::Value, TensorCopy> tensorCopies_;
  llvm::SmallVector<NvidiaTensorMap, 0> tensorMaps_;
  int64_t mbarriers_ = 0, mbarrierOffset_ = 0;
  int64_t sharedBytes_ = 0, exchangeOffset_ = 0, peakRegisters_ = 0;
};

/// Whether the product runs on tensor cores: sizes are 1 or multiples of 16, and none is 1.
bool isMatrixProduct(tile::DotOp dot);

} // namespace oriel::codegen::nvidia

#endif
