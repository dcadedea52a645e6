// Interfaces through which passes speak to lm ops without knowing them one by one.
#ifndef ORIEL_DIALECTS_LM_LMINTERFACES_TD
#define ORIEL_DIALECTS_LM_LMINTERFACES_TD

include "mlir/IR/OpBase.td"

def Lm_Differentiable : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::oriel::lm";
  let description = [{ An op with a vector-Jacobian product. }];
  let methods = [
    InterfaceMethod<[{
      Emits the gradient ops at the builder's insertion point. `cotangents[i]` is the cotangent of result i, or null when
      it is zero. Returns one value per operand: its cotangent contribution, with the operand's type, or null for operands
      that have no gradient (integers) or whose gradient is zero. `needed[j]` tells whether operand j's is wanted at all.
      An op that has no gradient in this form emits an error and returns an empty list.
    }], "::llvm::SmallVector<::mlir::Value>", "buildVjp",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$cotangents, "::llvm::ArrayRef<bool>":$needed)>
  ];
}

def Lm_Decomposable : OpInterface<"DecomposableOpInterface"> {
  let cppNamespace = "::oriel::lm";
  let description = [{ A composite op that stands for several primitives. }];
  let methods = [
    InterfaceMethod<[{ Emits the primitives and returns the values that replace the results. }],
      "::llvm::SmallVector<::mlir::Value>", "decompose", (ins "::mlir::OpBuilder &":$builder)>
  ];
}

def Lm_RecurrentMixer : OpInterface<"RecurrentMixerOpInterface"> {
  let cppNamespace = "::oriel::lm";
  let description = [{
    A mixer with a recurrent state, q, k and v its first operands, the mixed rows its first result, and a gradient op of its
    name with "_grad" behind. The schedule chooses its chunk C and save interval m.
  }];
  let methods = [
    InterfaceMethod<[{ Tokens of one row: a schedule has ceil(T / C) chunks. }], "int64_t", "getRowTokens">,
    InterfaceMethod<[{
      Rows times key/value heads: what runs side by side while the states are walked from one end of a row to the other.
    }], "int64_t", "getStateWalks">,
    InterfaceMethod<[{
      Whether the states and their cotangents can be made by passes of their own, so that all segments run side by side
      (`two_pass`).
    }], "bool", "hasStatePasses", (ins), "", [{ return false; }]>
  ];
}

#endif
