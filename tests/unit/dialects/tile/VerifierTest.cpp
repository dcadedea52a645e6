// Every numbered law of TileOps.td has text that breaks it and the error that says so.
#include <gtest/gtest.h>

#include "tests/unit/dialects/tile/TileText.h"

namespace oriel::tests {
namespace {

struct Broken {
  const char *name;
  std::string text;
  const char *error;
};

std::string body(const char *text, const char *values = "") { return TileText::inKernel(text, values); }

const std::vector<Broken> &brokenTexts() {
  static const std::vector<Broken> texts = {
      {"KernelGrid", "tile.kernel @k(%o: memref<4xf32>) grid(%x, %y, %z) in [1, 0, 1] outputs 1 { tile.return }",
       "(C1) grid must have three sizes of at least 1"},
      {"KernelGridNames", "tile.kernel @k(%o: memref<4xf32>) grid(%x, %y) in [1, 1, 1] outputs 1 { tile.return }",
       "grid wants three names"},
      {"KernelArgument", "tile.kernel @k(%o: tensor<4xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 { tile.return }",
       "(C2) argument type 'tensor<4xf32>' is not a buffer"},
      {"KernelOutputs", "tile.kernel @k(%o: memref<4xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 2 { tile.return }",
       "(C3) outputs is 2, expected 1 to 1"},
      {"LoadIndices",
       body("%t = tile.load %in[%i] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>", "%i: index"),
       "(C1) has 1 indices for a buffer of rank 2"},
      {"LoadDims",
       body("%t = tile.load %in[%i, %i] rows 1 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>", "%i: index"),
       "must be -1 or distinct dimensions"},
      {"LoadMissingDim",
       body("%t = tile.load %in[%i, %i] rows -1 cols 1 : memref<64x32xf32> -> tensor<16x32xf32>", "%i: index"),
       "(C2) a tile of 'tensor<16x32xf32>' has more than one element along a missing dimension"},
      {"LoadTileSize",
       body("%t = tile.load %in[%i, %i] rows 0 cols 1 : memref<64x32xf32> -> tensor<16x24xf32>", "%i: index"),
       "each 1 or a multiple of 16"},
      {"LoadStride",
       body("%t = tile.load %in[%i, %i] rows 0 cols 1 stride 0 : memref<64x32xf32> -> tensor<16x32xf32>", "%i: index"),
       "(C3) stride must be at least 1"},
      {"StoreElement",
       body("tile.store %t, %in[%i, %i] rows 0 cols 1 : tensor<16x32xi32>, memref<64x32xf32>",
            "%i: index; %t: tensor<16x32xi32>"),
       "(C3) a tile of 'i32' does not go with a buffer of 'f32'"},
      {"GatherIds",
       body("%t = tile.gather %in[%ids, %i] : memref<64x32xf32>, tensor<32x1xi32> -> tensor<16x32xf32>",
            "%i: index; %ids: tensor<32x1xi32>"),
       "(C1) ids must be 16x1xi32"},
      {"ScatterRank",
       body("tile.scatter_add %t, %v[%ids, %i] : tensor<16x32xf32>, memref<8xf32>, tensor<16x1xi32>",
            "%i: index; %ids: tensor<16x1xi32>; %t: tensor<16x32xf32>; %v: memref<8xf32>"),
       "(C1) buffer must have rank 2, has 1"},
      {"Fill", body("%t = tile.fill %i : i32 -> tensor<16x32xf32>", "%i: i32"),
       "(C1) fills 'tensor<16x32xf32>' with a 'i32'"},
      {"DotShapes",
       body("%d = tile.dot %t, %t, %t : tensor<16x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>",
            "%t: tensor<16x32xf32>"),
       "(C1) 16x32 times 16x32 does not add to"},
      {"DotTypes",
       body("%d = tile.dot %t, %u, %u : tensor<16x16xbf16>, tensor<16x16xf32>, tensor<16x16xf32>",
            "%t: tensor<16x16xbf16>; %u: tensor<16x16xf32>"),
       "(C1) operands must be both f32 or both bf16"},
      {"MapBroadcast",
       body("%d = tile.map ins(%t : tensor<32x16xf32>) -> tensor<16x16xf32> {\n^bb0(%x: f32): tile.yield %x : f32 }",
            "%t: tensor<32x16xf32>"),
       "(C1) operand 'tensor<32x16xf32>' does not broadcast to 16x16"},
      {"MapResults",
       body("%d:2 = tile.map ins(%t : tensor<16x16xf32>) -> tensor<16x16xf32>, tensor<16x1xf32> {\n^bb0(%x: f32): "
            "tile.yield %x, %x : f32, f32 }",
            "%t: tensor<16x16xf32>"),
       "(C1) results must have one shape"},
      {"MapArguments",
       body("%d = tile.map ins(%t : tensor<16x16xf32>) -> tensor<16x16xf32> {\n^bb0(%x: i32): %y = arith.sitofp %x : "
            "i32 to f32\n"
            "tile.yield %y : f32 }",
            "%t: tensor<16x16xf32>"),
       "(C2) the body takes a 'i32' for an element of"},
      {"MapYield", body("%d = tile.map -> tensor<16x16xf32> { %r = tile.row\ntile.yield %r : i32 }"),
       "(C2) yields a 'i32' for an element of"},
      {"RowOutside", body("%r = tile.row"), "(C1) must stand inside the body of tile.map"},
      {"Reduce",
       body("%r = tile.reduce sum %t axis 1 : tensor<16x32xf32> -> tensor<1x32xf32>", "%t: tensor<16x32xf32>"),
       "(C1) 'tensor<16x32xf32>' along axis 1 does not give 'tensor<1x32xf32>'"},
      {"ReduceAxis",
       body("%r = tile.reduce sum %t axis 2 : tensor<16x32xf32> -> tensor<16x1xf32>", "%t: tensor<16x32xf32>"),
       "(C1) axis is 2, expected 0 or 1"},
      {"Transpose", body("%r = tile.transpose %t : tensor<16x32xf32> -> tensor<16x32xf32>", "%t: tensor<16x32xf32>"),
       "(C1) the transpose of 'tensor<16x32xf32>' is not"},
      {"Cast", body("%r = tile.cast %t : tensor<16x32xf32> -> tensor<16x32xi32>", "%t: tensor<16x32xf32>"),
       "(C1) cannot convert"},
  };
  return texts;
}

class TileVerifierTest : public testing::TestWithParam<Broken> {};

TEST_P(TileVerifierTest, RefusesAndSaysWhy) {
  TileText text;
  EXPECT_EQ(text.reprint(GetParam().text), "");
  EXPECT_NE(text.errors.find(GetParam().error), std::string::npos) << text.errors;
}

INSTANTIATE_TEST_SUITE_P(Laws, TileVerifierTest, testing::ValuesIn(brokenTexts()),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace oriel::tests
