// Which keys and states the rows of one chunk see, for recurrent mixers that run in chunks (kernels/rattention,
// kernels/linear_attention).
//
// Row r of a chunk's queries pairs with columns j <= r of its keys. With packed documents three masks join, all from
// doc_start:
//   pairs   key i is visible to query t iff i >= doc_start[t]
//   carry   t uses the carried state iff doc_start[t] < stateEnd: the state's keys all lie before the chunk's keys, in
//           the last key's document
//   update  with e the chunk's last key: S' = [doc_start[e] < stateEnd]·S + the keys i >= doc_start[e] of the chunk
// Without documents only the triangle is left, and every function but `pairs` returns its argument.
#ifndef ORIEL_KERNELS_COMMON_CHUNKMASKS_H
#define ORIEL_KERNELS_COMMON_CHUNKMASKS_H

#include "kernels/common/TileBuilder.h"

namespace oriel::kernels {

class ChunkMasks {
public:
  /// One document per row. `firstKey` is the position of the chunk's first key.
  ChunkMasks(TileBuilder &b, Scalar firstKey) : b_(&b), firstKey_(firstKey), stateEnd_(firstKey) {}

  struct Documents {
    mlir::Value ofQueries; // doc_start of the queries, i32 [C,1]
    Scalar ofLastQuery;    // i32
    Scalar ofLastKey;      // i32
  };
  ChunkMasks(TileBuilder &b, Scalar firstKey, Scalar stateEnd, Documents documents)
      : b_(&b), firstKey_(firstKey), stateEnd_(stateEnd), documents_(documents) {}

  /// Scores [queries, keys]: zero where query and key do not pair.
  mlir::Value pairs(mlir::Value scores) const;
  /// Rows of queries that use the carried state, the others 0.
  mlir::Value carry(mlir::Value rows) const;
  /// Rows of keys that enter the state, the others 0.
  mlir::Value update(mlir::Value rows) const;
  /// A tile of the state as far as it outlives the chunk.
  mlir::Value keep(mlir::Value state) const;

private:
  mlir::Value clearIf(Scalar condition, mlir::Value tile, llvm::function_ref<mlir::Value()> masked) const;

  TileBuilder *b_;
  Scalar firstKey_, stateEnd_;
  std::optional<Documents> documents_;
};

} // namespace oriel::kernels

#endif
