// Error tests: one per law that an op's description states, (C1), (C2) … The parser runs the verifiers.
#include "tests/support/lm/LmProgram.h"
#include "tests/support/lm/OpText.h"
#include "gtest/gtest.h"

using oriel::testing::LmProgram;

namespace {

struct Case {
  const char *name;
  const char *message; // a part of the diagnostic
  const char *op;
};

// clang-format off
const Case kCases[] = {
    {"EmbedTable", "(C1) 'result'",
     "%r0 = lm.embed %a0, %a1 : (tensor<5x4xf32>, tensor<2x3xi32>) -> tensor<2x3x5xf32>"},
    {"EmbedTokensRank", "(C1) 'tokens' must be [B,T]",
     "%r0 = lm.embed %a0, %a1 : (tensor<5x4xf32>, tensor<6xi32>) -> tensor<2x3x4xf32>"},
    {"EmbedGradTable", "(C1) 'dtable' must be [V,M] = [?,4] but is [5,3]",
     "%r0 = lm.embed_grad %a0, %a1 {scale = 1.0 : f32} : (tensor<2x3x4xf32>, tensor<2x3xi32>) -> "
     "tensor<5x3xf32>"},
    {"LinearWeight", "(C1) 'weight' must be [O,I] = [?,4] but is [5,3]",
     "%r0 = lm.linear %a0, %a1 : (tensor<2x3x4xf32>, tensor<5x3xf32>) -> tensor<2x3x5xf32>"},
    {"LinearBias", "(C1) 'bias' must be [O] = [5] but is [4]",
     "%r0 = lm.linear %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<5x4xf32>, tensor<4xf32>) -> "
     "tensor<2x3x5xf32>"},
    {"LinearLeadingSizes", "(C1) 'result' must be [...,O] = [2,3,5] but is [3,2,5]",
     "%r0 = lm.linear %a0, %a1 : (tensor<2x3x4xf32>, tensor<5x4xf32>) -> tensor<3x2x5xf32>"},
    {"ReshapeCount", "(C1) has 24 elements in and 20 out",
     "%r0 = lm.reshape %a0 : (tensor<2x3x4xf32>) -> tensor<5x4xf32>"},
    {"ReshapeElementType", "(C1) changes the element type",
     "%r0 = lm.reshape %a0 : (tensor<2x3x4xf32>) -> tensor<6x4xbf16>"},
    {"AddOperands", "(C1) 'rhs' must have the type of 'lhs'",
     "%r0 = lm.add %a0, %a1 : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x3xf32>"},
    {"AddResult", "(C1) 'result' must have the type of 'lhs'",
     "%r0 = lm.add %a0, %a1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x2xf32>"},
    {"ScaleChannelsScale", "(C1) 'scale' must be [D] = [4]",
     "%r0 = lm.scale_channels %a0, %a1 : (tensor<2x3x4xf32>, tensor<3xf32>) -> tensor<2x3x4xf32>"},
    {"ScaleChannelsGradScale", "(C1) 'dscale' must be [D] = [4]",
     "%r0, %r1 = lm.scale_channels_grad %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<4xf32>, "
     "tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>)"},
    {"ScaleChannelsGradCotangent", "(C1) 'dy' must have the type of 'x'",
     "%r0, %r1 = lm.scale_channels_grad %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<4xf32>, "
     "tensor<2x2x4xf32>) -> (tensor<2x3x4xf32>, tensor<4xf32>)"},
    {"MatmulInner", "(C1) multiplies 6x5 by 4x3",
     "%r0 = lm.matmul %a0, %a1 : (tensor<2x3x5xf32>, tensor<4x3xf32>) -> tensor<2x3x3xf32>"},
    {"MatmulTransposed", "(C1) multiplies 5x6 by 4x3",
     "%r0 = lm.matmul %a0, %a1 {transpose_a} : (tensor<2x3x5xf32>, tensor<4x3xf32>) -> tensor<5x3xf32>"},
    {"MatmulResult", "(C1) has a product of 6x3 elements",
     "%r0 = lm.matmul %a0, %a1 : (tensor<2x3x5xf32>, tensor<5x3xf32>) -> tensor<3x6xf32>"},
    {"SumRows", "(C1) 'result' must be [O] = [4]",
     "%r0 = lm.sum_rows %a0 : (tensor<2x3x4xf32>) -> tensor<3xf32>"},
    {"RmsNormWeight", "(C1) 'weight' must be [D] = [4]",
     "%r0 = lm.rms_norm %a0, %a1 {eps = 1.0e-6 : f64} : (tensor<2x3x4xf32>, tensor<3xf32>) -> "
     "tensor<2x3x4xf32>"},
    {"RmsNormHeads", "(C1) 'weight' must be [N,D] = [3,4]",
     "%r0 = lm.rms_norm %a0, %a1 {eps = 1.0e-6 : f64} : (tensor<2x3x4xf32>, tensor<2x4xf32>) -> "
     "tensor<2x3x4xf32>"},
    {"RmsNormResult", "(C1) 'result' must have the type of 'x'",
     "%r0 = lm.rms_norm %a0, %a1 {eps = 1.0e-6 : f64} : (tensor<2x3x4xf32>, tensor<4xf32>) -> "
     "tensor<2x4x4xf32>"},
    {"RmsNormEps", "(C2) has eps = 0",
     "%r0 = lm.rms_norm %a0, %a1 {eps = 0.0 : f64} : (tensor<2x3x4xf32>, tensor<4xf32>) -> "
     "tensor<2x3x4xf32>"},
    {"RmsNormGradWeight", "(C1) 'dweight' must have the type of 'weight'",
     "%r0, %r1 = lm.rms_norm_grad %a0, %a1, %a2 {eps = 1.0e-6 : f64} : (tensor<2x3x4xf32>, tensor<4xf32>, "
     "tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>)"},
    {"RmsNormGradEps", "(C2) has eps",
     "%r0, %r1 = lm.rms_norm_grad %a0, %a1, %a2 {eps = -1.0 : f64} : (tensor<2x3x4xf32>, tensor<4xf32>, "
     "tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<4xf32>)"},
    {"RopeRank", "(C1) 'x' must be [B,T,N,D]",
     "%r0 = lm.rope %a0 {theta = 1.0e4 : f64, layout = #lm.rope_layout<half>, rotary_dim = 4 : i64} : "
     "(tensor<2x3x4xf32>) -> tensor<2x3x4xf32>"},
    {"RopeDocuments", "(C1) 'doc_start' must be [B,T] = [2,3]",
     "%r0 = lm.rope %a0, %a1 {theta = 1.0e4 : f64, layout = #lm.rope_layout<half>, rotary_dim = 4 : i64} : "
     "(tensor<2x3x1x4xf32>, tensor<3x2xi32>) -> tensor<2x3x1x4xf32>"},
    {"RopeResult", "(C1) 'result' must have the type of 'x'",
     "%r0 = lm.rope %a0 {theta = 1.0e4 : f64, layout = #lm.rope_layout<half>, rotary_dim = 4 : i64} : "
     "(tensor<2x3x1x4xf32>) -> tensor<2x3x1x6xf32>"},
    {"RopeOdd", "(C2) has rotary_dim = 3",
     "%r0 = lm.rope %a0 {theta = 1.0e4 : f64, layout = #lm.rope_layout<half>, rotary_dim = 3 : i64} : "
     "(tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>"},
    {"RopeTooWide", "(C2) has rotary_dim = 6",
     "%r0 = lm.rope %a0 {theta = 1.0e4 : f64, layout = #lm.rope_layout<half>, rotary_dim = 6 : i64} : "
     "(tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>"},
    {"RopeTheta", "(C2) has theta = 0",
     "%r0 = lm.rope %a0 {theta = 0.0 : f64, layout = #lm.rope_layout<half>, rotary_dim = 4 : i64} : "
     "(tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>"},
    {"GatedActivation", "(C1) 'up' must have the type of 'gate'",
     "%r0 = lm.gated_activation %a0, %a1 {activation = #lm.activation<silu>} : (tensor<2x3xf32>, "
     "tensor<2x4xf32>) -> tensor<2x3xf32>"},
    {"GatedActivationGrad", "(C1) 'dup' must have the type of 'gate'",
     "%r0, %r1 = lm.gated_activation_grad %a0, %a1, %a2 {activation = #lm.activation<silu>} : "
     "(tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<3x2xf32>)"},
    {"AttentionKey", "(C1) 'k' must be [B,T,KV,D] = [2,5,?,3] but is [2,5,2,4]",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x4xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x5xf32>)"},
    {"AttentionValue", "(C1) 'v' must be [B,T,KV,E] = [2,5,2,?]",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x5xf32>)"},
    {"AttentionResult", "(C1) 'result' must be [B,T,N,E] = [2,5,4,6]",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x4x5xf32>)"},
    {"AttentionLogSumExp", "(C1) 'lse' must be [B,N,T] = [2,4,5]",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4xf32>)"},
    {"AttentionDocuments", "(C1) 'doc_start' must be [B,T] = [2,5]",
     "%r0, %r1 = lm.attention %a0, %a1, %a2, %a3 {window = 1 : i64, scale = 1.0 : f64} : "
     "(tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x4xi32>) -> "
     "(tensor<2x5x4x6xf32>, tensor<2x4x5xf32>)"},
    {"AttentionGroups", "(C2) has 4 query heads, not a multiple of its 3 key/value heads",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x5xf32>)"},
    {"AttentionWindow", "(C3) has window = -2",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = -2 : i64, scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x5xf32>)"},
    {"AttentionSoftCap", "(C3) has soft_cap = -1",
     "%r0, %r1 = lm.attention %a0, %a1, %a2 {window = 1 : i64, scale = 1.0 : f64, soft_cap = -1.0 : f64} : "
     "(tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, "
     "tensor<2x4x5xf32>)"},
    {"AttentionGradCotangent", "(C1) 'dresult' must have the type of 'result'",
     "%r0, %r1, %r2 = lm.attention_grad %a0, %a1, %a2, %a3, %a4, %a5 {window = 1 : i64, scale = 1.0 : f64, "
     "soft_cap = 0.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x3xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"AttentionGradKey", "(C1) 'dk' must have the type of 'k'",
     "%r0, %r1, %r2 = lm.attention_grad %a0, %a1, %a2, %a3, %a4, %a5 {window = 1 : i64, scale = 1.0 : f64, "
     "soft_cap = 0.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x4x3xf32>, tensor<2x5x2x6xf32>)"},
    {"AttentionGradGroups", "(C2) has 4 query heads",
     "%r0, %r1, %r2 = lm.attention_grad %a0, %a1, %a2, %a3, %a4, %a5 {window = 1 : i64, scale = 1.0 : f64, "
     "soft_cap = 0.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>, "
     "tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>)"},
    {"AttentionGradWindow", "(C3) has window",
     "%r0, %r1, %r2 = lm.attention_grad %a0, %a1, %a2, %a3, %a4, %a5 {window = -9 : i64, scale = 1.0 : "
     "f64, soft_cap = 0.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LinearAttentionQueryRank", "(C1) 'q' must be [B,T,N,D]",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>} : (tensor<2x5x4xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> "
     "(tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionFinalState", "(C1) 'final_state' must be [B,N,2D,E] = [2,4,6,6] but is [2,2,6,6]",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> "
     "(tensor<2x5x4x6xf32>, tensor<2x2x6x6xf32>)"},
    {"LinearAttentionLengths", "(C1) 'lengths' must be [B] = [2]",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 lengths(%a3) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<3xi32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionGroups", "(C2) has 4 query heads",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>) -> "
     "(tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionWindow", "(C3) has window = -2",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 {window = -2 : i64, feature_map = "
     "#lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> "
     "(tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionInitialState", "(C4) 'initial_state' must be [N,2D,E] = [4,6,6] but is [2,6,6]",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 initial_state(%a3) {window = 1 : i64, "
     "feature_map = #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<2x6x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionRowState", "(C4) 'initial_state' must be [B,N,2D,E] = [2,4,6,6] but is [2,4,5,6]",
     "%r0, %r1 = lm.residual_linear_attention %a0, %a1, %a2 initial_state(%a3) {window = 1 : i64, "
     "feature_map = #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<2x4x5x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x6x6xf32>)"},
    {"LinearAttentionGradCotangent", "(C1) 'dresult' must be [B,T,N,E]",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 {window = 1 : i64, feature_map "
     "= #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x3x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LinearAttentionGradFinalState", "(C1) 'dfinal_state' must be [B,N,2D,E]",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 dfinal_state(%a4) {window = 1 : "
     "i64, feature_map = #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LinearAttentionGradValue", "(C1) 'dv' must have the type of 'v'",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 {window = 1 : i64, feature_map "
     "= #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x3xf32>)"},
    {"LinearAttentionGradGroups", "(C2) has 4 query heads",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 {window = 1 : i64, feature_map "
     "= #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>, "
     "tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>)"},
    {"LinearAttentionGradWindow", "(C3) has window",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 {window = -2 : i64, feature_map "
     "= #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LinearAttentionGradMissingState", "(C4) must have 'dinitial_state' exactly when",
     "%r0, %r1, %r2 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 initial_state(%a4) {window = 1 "
     ": i64, feature_map = #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LinearAttentionGradStateType", "(C4) 'dinitial_state' must have the type of 'initial_state'",
     "%r0, %r1, %r2, %r3 = lm.residual_linear_attention_grad %a0, %a1, %a2, %a3 initial_state(%a4) {window "
     "= 1 : i64, feature_map = #lm.feature_map<softmax>} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6x6xf32>) -> (tensor<2x5x4x3xf32>, "
     "tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x4x6x6xf32>)"},
    {"PlainLinearFinalState", "(C1) 'final_state' must be [B,KV,D,E] = [2,2,3,6] but is [2,4,3,6]",
     "%r0, %r1 = lm.linear_attention %a0, %a1, %a2 {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x4x3x6xf32>)"},
    {"PlainLinearDocuments", "(C1) 'doc_start' must be [B,T] = [2,5]",
     "%r0, %r1 = lm.linear_attention %a0, %a1, %a2 doc_start(%a3) {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x4xi32>) -> (tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>)"},
    {"PlainLinearGroups", "(C2) has 4 query heads",
     "%r0, %r1 = lm.linear_attention %a0, %a1, %a2 {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x3x3x6xf32>)"},
    {"PlainLinearNoSum", "(C3) must have 'final_sum' exactly with 'normalize'",
     "%r0, %r1 = lm.linear_attention %a0, %a1, %a2 {scale = 1.0 : f64, normalize} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>)"},
    {"PlainLinearSumAlone", "(C3) 'initial' must hold a state [B,KV,D,E] and a sum of keys [B,KV,D], got 1",
     "%r0, %r1, %r2 = lm.linear_attention %a0, %a1, %a2 initial(%a3) {scale = 1.0 : f64, normalize} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x2x3x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>, tensor<2x2x3xf32>)"},
    {"PlainLinearInitial", "(C3) 'initial' must be [B,KV,D,E] = [2,2,3,6]",
     "%r0, %r1 = lm.linear_attention %a0, %a1, %a2 initial(%a3) {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x3x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>)"},
    {"PlainLinearGradCotangent", "(C1) 'dresult' must be [B,T,N,E]",
     "%r0, %r1, %r2 = lm.linear_attention_grad %a0, %a1, %a2, %a3 {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x5x2x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"PlainLinearGradKey", "(C1) 'dk' must have the type of 'k'",
     "%r0, %r1, %r2 = lm.linear_attention_grad %a0, %a1, %a2, %a3 {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x4x3xf32>, tensor<2x5x2x6xf32>)"},
    {"PlainLinearGradGroups", "(C2) has 4 query heads",
     "%r0, %r1, %r2 = lm.linear_attention_grad %a0, %a1, %a2, %a3 {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>)"},
    {"PlainLinearGradFinal", "(C3) 'dfinal' must hold a state [B,KV,D,E] and nothing else without 'normalize', got 2",
     "%r0, %r1, %r2 = lm.linear_attention_grad %a0, %a1, %a2, %a3 dfinal(%a4, %a5) {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>, tensor<2x2x3xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"PlainLinearGradInitial", "(C3) must have 'dinitial' with the types of 'initial'",
     "%r0, %r1, %r2 = lm.linear_attention_grad %a0, %a1, %a2, %a3 initial(%a4) {scale = 1.0 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x5x4x6xf32>, tensor<2x2x3x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>)"},
    {"LearnedStateTokens", "(C1) 'v_tokens' must be [N,J,E] = [2,3,?]",
     "%r0 = lm.learned_state %a0, %a1 {feature_map = #lm.feature_map<relu>} : (tensor<2x3x4xf32>, "
     "tensor<2x2x5xf32>) -> tensor<2x8x5xf32>"},
    {"LearnedStateResult", "(C1) 'result' must be [N,2D,E] = [2,8,5] but is [2,4,5]",
     "%r0 = lm.learned_state %a0, %a1 {feature_map = #lm.feature_map<relu>} : (tensor<2x3x4xf32>, "
     "tensor<2x3x5xf32>) -> tensor<2x4x5xf32>"},
    {"LearnedStateGrad", "(C1) 'dv_tokens' must be [N,J,E] = [2,3,5]",
     "%r0, %r1 = lm.learned_state_grad %a0, %a1, %a2 {feature_map = #lm.feature_map<relu>} : "
     "(tensor<2x3x4xf32>, tensor<2x3x5xf32>, tensor<2x8x5xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x4xf32>)"},
    {"RAttentionScale", "(C1) 'rla_scale' must be [N,E] = [4,6]",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x3xf32>, tensor<4x6xf32>) -> tensor<2x5x4x6xf32>"},
    {"RAttentionResult", "(C1) 'result' must be [B,T,N,E]",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<2x5x4x3xf32>"},
    {"RAttentionMissingWindowScale", "(C2) must have 'swa_scale' exactly when window >= 0, and has window = 1",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 {window = 1 : i64, feature_map = #lm.feature_map<softmax>, "
     "eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = #lm.rope_layout<half>, rotary_dim = 2 : i64} "
     ": (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<4x6xf32>) -> "
     "tensor<2x5x4x6xf32>"},
    {"RAttentionNeedlessWindowScale", "(C2) must have 'swa_scale' exactly when window >= 0, and has window = -1",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = -1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<2x5x4x6xf32>"},
    {"RAttentionQueryKeyScale", "(C3) 'k_scale' must be [D] = [3]",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) qk_scale(%a5, %a6) {window = 1 : i64, "
     "feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<3xf32>, tensor<6xf32>) -> "
     "tensor<2x5x4x6xf32>"},
    {"RAttentionTokens", "(C3) 'v_tokens' must be [N,J,E] = [4,7,6]",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) tokens(%a5, %a6) {window = 1 : i64, "
     "feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x7x3xf32>, tensor<4x6x6xf32>) -> "
     "tensor<2x5x4x6xf32>"},
    {"RAttentionNorm", "(C3) 'q_norm' must be [D] = [3]",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) qk_norm(%a5, %a6) {window = 1 : i64, "
     "feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<6xf32>, tensor<3xf32>) -> "
     "tensor<2x5x4x6xf32>"},
    {"RAttentionGroups", "(C4) has 4 query heads",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, "
     "tensor<2x5x3x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<2x5x4x6xf32>"},
    {"RAttentionWindow", "(C4) has window = -2",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 {window = -2 : i64, feature_map = #lm.feature_map<softmax>, "
     "eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = #lm.rope_layout<half>, rotary_dim = 2 : i64} "
     ": (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<4x6xf32>) -> "
     "tensor<2x5x4x6xf32>"},
    {"RAttentionEps", "(C5) must have eps > 0",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 0.0 : f64, theta = 1.0e4 : f64, rope_layout = #lm.rope_layout<half>, "
     "rotary_dim = 2 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, "
     "tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<2x5x4x6xf32>"},
    {"RAttentionRotaryDim", "(C5) has rotary_dim = 4",
     "%r0 = lm.rattention %a0, %a1, %a2, %a3 swa_scale(%a4) {window = 1 : i64, feature_map = "
     "#lm.feature_map<softmax>, eps = 1.0e-8 : f64, theta = 1.0e4 : f64, rope_layout = "
     "#lm.rope_layout<half>, rotary_dim = 4 : i64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, "
     "tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<2x5x4x6xf32>"},
    {"GatedMlpDown", "(C1) 'down' must be [M,F] = [4,5]",
     "%r0 = lm.gated_mlp %a0, %a1, %a2, %a3 {activation = #lm.activation<silu>} : (tensor<2x3x4xf32>, "
     "tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<2x3x4xf32>"},
    {"CrossEntropyWeight", "(C1) 'weight' must be [V,M] = [?,4]",
     "%r0 = lm.cross_entropy %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<7x3xf32>, tensor<2x3xi32>) -> "
     "tensor<1xf32>"},
    {"CrossEntropyLoss", "(C1) 'loss' must be [1] = [1] but is [2]",
     "%r0 = lm.cross_entropy %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<7x4xf32>, tensor<2x3xi32>) -> "
     "tensor<2xf32>"},
    {"CrossEntropySoftCap", "(C2) has soft_cap = -1",
     "%r0 = lm.cross_entropy %a0, %a1, %a2 {soft_cap = -1.0 : f64} : (tensor<2x3x4xf32>, tensor<7x4xf32>, "
     "tensor<2x3xi32>) -> tensor<1xf32>"},
    {"CrossEntropyGradCotangent", "(C1) 'dloss' must be [1]",
     "%r0, %r1, %r2 = lm.cross_entropy_grad %a0, %a1, %a2, %a3 {soft_cap = 0.0 : f64} : "
     "(tensor<2x3x4xf32>, tensor<7x4xf32>, tensor<2x3xi32>, tensor<2xf32>) -> (tensor<1xf32>, "
     "tensor<2x3x4xf32>, tensor<7x4xf32>)"},
    {"CrossEntropyGradSoftCap", "(C2) has soft_cap",
     "%r0, %r1, %r2 = lm.cross_entropy_grad %a0, %a1, %a2, %a3 {soft_cap = -2.0 : f64} : "
     "(tensor<2x3x4xf32>, tensor<7x4xf32>, tensor<2x3xi32>, tensor<1xf32>) -> (tensor<1xf32>, "
     "tensor<2x3x4xf32>, tensor<7x4xf32>)"},
    {"LogitsPosition", "(C1) 'position' must be [B] = [2]",
     "%r0 = lm.logits %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<7x4xf32>, tensor<3xi32>) -> "
     "tensor<2x7xf32>"},
    {"LogitsResult", "(C1) 'result' must be [B,V] = [2,7]",
     "%r0 = lm.logits %a0, %a1, %a2 : (tensor<2x3x4xf32>, tensor<7x4xf32>, tensor<2xi32>) -> "
     "tensor<7x2xf32>"},
    {"LogitsSoftCap", "(C2) has soft_cap",
     "%r0 = lm.logits %a0, %a1, %a2 {soft_cap = -1.0 : f64} : (tensor<2x3x4xf32>, tensor<7x4xf32>, "
     "tensor<2xi32>) -> tensor<2x7xf32>"},
    {"FusedRAttentionRotated", "(C1) 'rotated_q'",
     "%r0, %r1, %r2, %r3 = lm.fused_rattention %a0, %a1, %a2, %a3, %a4, %a5, %a6 {window = 1 : i64, scale = 1.0 : f64, soft_cap = 0.0 : f64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64} : (tensor<2x5x4x4xf32>, tensor<2x5x2x3xf32>, tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>)"},
    {"FusedRAttentionGroups", "(C2) has 4 query heads",
     "%r0, %r1, %r2, %r3 = lm.fused_rattention %a0, %a1, %a2, %a3, %a4, %a5, %a6 {window = 1 : i64, scale = 1.0 : f64, soft_cap = 0.0 : f64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x4x3xf32>, tensor<2x5x3x3xf32>, tensor<2x5x3x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>)"},
    {"FusedRAttentionWindow", "(C3) must have window >= 0",
     "%r0, %r1, %r2, %r3 = lm.fused_rattention %a0, %a1, %a2, %a3, %a4, %a5, %a6 {window = -1 : i64, scale = 1.0 : f64, soft_cap = 0.0 : f64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>)"},
    {"FusedRAttentionInitialState", "(C4) 'initial_state'",
     "%r0, %r1, %r2, %r3 = lm.fused_rattention %a0, %a1, %a2, %a3, %a4, %a5, %a6 initial_state(%a7) {window = 1 : i64, scale = 1.0 : f64, soft_cap = 0.0 : f64, feature_map = #lm.feature_map<softmax>, eps = 1.0e-8 : f64} : (tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x3x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32>)"},
    {"HeadNormsGradScale", "(C1) 'swa_scale'",
     "%r0, %r1, %r2, %r3 = lm.head_norms_grad %a0, %a1, %a2, %a3, %a4 {eps = 1.0e-8 : f64} : (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<6xf32>, tensor<4x6xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>)"},
    {"HeadNormsGradEps", "(C2) must have eps > 0",
     "%r0, %r1, %r2, %r3 = lm.head_norms_grad %a0, %a1, %a2, %a3, %a4 {eps = 0.0 : f64} : (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<2x5x4x6xf32>) -> (tensor<2x5x4x6xf32>, tensor<2x5x4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>)"},
};
// clang-format on

class VerifierTest : public ::testing::TestWithParam<Case> {};

TEST_P(VerifierTest, NamesTheBrokenLaw) {
  std::string text = oriel::testing::functionAround(GetParam().op);
  ASSERT_FALSE(text.empty()) << GetParam().op;
  LmProgram program(text);
  EXPECT_FALSE(program.valid());
  EXPECT_NE(program.errors().find(GetParam().message), std::string::npos) << program.errors();
}

INSTANTIATE_TEST_SUITE_P(All, VerifierTest, ::testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(VerifierTest, DynamicShapesAndOtherElementTypesAreRefused) {
  LmProgram dynamic(oriel::testing::functionAround("%y = lm.reshape %x : (tensor<?x4xf32>) -> tensor<4x4xf32>"));
  EXPECT_FALSE(dynamic.valid());
  EXPECT_NE(dynamic.errors().find("statically shaped"), std::string::npos) << dynamic.errors();
  LmProgram half(oriel::testing::functionAround("%y = lm.reshape %x : (tensor<4x4xf16>) -> tensor<4x4xf16>"));
  EXPECT_FALSE(half.valid());
}

} // namespace
