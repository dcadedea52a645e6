// Emits the lm ops of one layer. The only files of this folder that know MLIR are this one, Import.cpp and Frontend.h.
#ifndef ORIEL_COMPILER_FRONTEND_LAYERBUILDER_H
#define ORIEL_COMPILER_FRONTEND_LAYERBUILDER_H

#include "compiler/frontend/Model.h"
#include "compiler/frontend/Source.h"

#include "dialects/lm/LmOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace oriel::frontend {

/// What the layers of one function share. Builds at the builder's insertion point, f32 throughout.
class LayerBuilder {
public:
  /// `parameters` maps names ("layers.0.mixer.wq") to the function's arguments; `docStart` is `[B,T]`.
  LayerBuilder(mlir::OpBuilder &builder, const SourceFile &file, const llvm::StringMap<mlir::Value> &parameters,
               mlir::Value docStart)
      : builder_(builder), file_(file), parameters_(parameters), docStart_(docStart) {}

  mlir::Value embed(const LayerUse &layer, mlir::Value tokens);
  /// Any layer from `[B,T,M]` to `[B,T,M']`.
  mlir::Value layer(const LayerUse &layer, mlir::Value x);
  /// x + body, as `path`.
  mlir::Value residual(const Element &element, mlir::Value x, mlir::Value body);

  /// The parameter `name` of a layer; null when the layer has none of that name.
  mlir::Value parameter(const LayerUse &layer, llvm::StringRef name) const;
  /// The layer's path around its place in the file.
  mlir::Location location(llvm::StringRef path, SourceRange range) const;

private:
  /// q, k, v as heads: `[B,T,N,D]`, `[B,T,KV,D]`, `[B,T,KV,E]`.
  struct Heads {
    mlir::Value q, k, v;
  };
  Heads projectHeads(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  /// The same with qk-norm and rotation, where the layer has them.
  Heads positionedHeads(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  /// `scale`, D^-0.5 when it was left to us.
  static double scoreScale(const LayerUse &layer);
  mlir::Value projectOut(const LayerUse &layer, mlir::Value context, mlir::Location loc);
  mlir::Value linear(mlir::Value x, mlir::Value weight, mlir::Value bias, mlir::Location loc);
  mlir::Value norm(mlir::Value x, mlir::Value weight, double eps, bool plusOne, mlir::Location loc);
  mlir::Value rope(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  mlir::Value attention(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  mlir::Value linearAttention(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  mlir::Value rattention(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  mlir::Value gatedMlp(const LayerUse &layer, mlir::Value x, mlir::Location loc);
  /// x's leading sizes before `sizes`.
  mlir::RankedTensorType withLast(mlir::Value x, llvm::ArrayRef<int64_t> sizes);

  mlir::OpBuilder &builder_;
  const SourceFile &file_;
  const llvm::StringMap<mlir::Value> &parameters_;
  mlir::Value docStart_;
};

} // namespace oriel::frontend

#endif
