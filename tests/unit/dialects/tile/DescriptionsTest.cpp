// The .td file is documentation that runs: every op has a summary, and its example parses, verifies and round-trips.
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/unit/dialects/tile/TileText.h"

namespace oriel::tests {
namespace {

using llvm::StringRef;

/// Values that an example takes from its surroundings; an op that is not here needs none.
const std::map<std::string, std::string> surroundings = {
    {"load", "%buf: memref<64x32xf32>; %i: index; %j: index"},
    {"store", "%t: tensor<16x32xf32>; %buf: memref<64x32xf32>; %i: index; %j: index"},
    {"gather", "%table: memref<256x64xf32>; %ids: tensor<16x1xi32>; %c0: index"},
    {"scatter_add", "%t: tensor<16x64xf32>; %table: memref<256x64xf32>; %ids: tensor<16x1xi32>; %c0: index"},
    {"fill", "%zero: f32"},
    {"dot", "%q: tensor<16x32xf32>; %k: tensor<16x32xf32>; %acc: tensor<16x16xf32>"},
    {"map", "%x: tensor<16x32xf32>; %m: tensor<16x1xf32>"},
    {"reduce", "%s: tensor<16x32xf32>"},
    {"transpose", "%k: tensor<16x32xf32>"},
    {"cast", "%x: tensor<16x32xf32>"},
};

struct Document {
  std::string summary, example;
};

StringRef between(StringRef text, StringRef open, StringRef close) {
  auto [before, after] = text.split(open);
  return after.split(close).first;
}

std::map<std::string, Document> readDocuments() {
  std::ifstream file(std::string(ORIEL_TILE_DIALECT_DIR) + "/TileOps.td");
  std::stringstream stream;
  stream << file.rdbuf();
  std::string text = stream.str();
  std::map<std::string, Document> documents;
  llvm::SmallVector<StringRef> definitions;
  StringRef(text).split(definitions, "\ndef Tile_");
  for (StringRef definition : definitions)
    if (definition.split(' ').first.ends_with("Op") && definition.contains("let summary"))
      documents[between(definition, "<\"", "\"").str()] = {between(definition, "let summary = \"", "\"").str(),
                                                           between(definition, "```mlir\n", "```").str()};
  // tile.row and tile.col share a class whose example names the op by its parameter.
  StringRef place = between(text, "class Tile_PlaceOp", "\ndef ");
  for (const char *name : {"row", "col"}) {
    auto [before, after] = between(place, "```mlir\n", "```").split("}] # mnemonic # [{");
    documents[name] = {between(place, "let summary = \"", "\"").str(), (before + name + after).str()};
  }
  return documents;
}

TEST(TileDescriptionsTest, EveryOpIsDescribed) {
  auto documents = readDocuments();
  TileText text;
  int count = 0;
  for (mlir::RegisteredOperationName name : text.context().getRegisteredOperations()) {
    if (name.getDialectNamespace() != "tile")
      continue;
    ++count;
    std::string op = name.stripDialect().str();
    EXPECT_FALSE(documents[op].summary.empty()) << op;
    EXPECT_TRUE(op == "yield" || !documents[op].example.empty()) << op;
  }
  EXPECT_EQ(count, 15);
}

TEST(TileDescriptionsTest, EveryExampleRoundTrips) {
  for (auto &[op, document] : readDocuments()) {
    if (op == "yield") // shown in tile.map
      continue;
    SCOPED_TRACE(op);
    auto values = surroundings.find(op);
    std::string example = document.example;
    if (op == "return")
      example.clear(); // inKernel ends with it
    if (op != "kernel")
      example = TileText::inKernel(example, values == surroundings.end() ? "" : values->second);
    TileText text;
    std::string once = text.reprint(example);
    ASSERT_NE(once, "") << text.errors << example;
    EXPECT_NE(once.find("tile." + op), std::string::npos);
    EXPECT_EQ(text.reprint(once), once);
  }
}

TEST(TileDescriptionsTest, OptionalPartsRoundTrip) {
  TileText text;
  std::string kernel = TileText::inKernel(R"(
    %t = tile.load %in[%i, %j] rows 1 cols 0 from %i to %j limit 7 stride 2 : memref<64x32xf32> -> tensor<16x32xf32>
    tile.store accumulate %t, %o[%i, %j] rows 0 cols 1 to %j : tensor<16x32xf32>, memref<64x32xf32>
    %d = tile.dot %t, %t, %acc transpose_a : tensor<16x32xf32>, tensor<16x32xf32>, tensor<32x32xf32>)",
                                          "%i: index; %j: index; %acc: tensor<32x32xf32>");
  std::string once = text.reprint(kernel);
  ASSERT_NE(once, "") << text.errors;
  for (const char *part :
       {"rows 1 cols 0 from %", " limit 7 stride 2", "store accumulate %", "rows 0 cols 1 to %", "transpose_a"})
    EXPECT_NE(once.find(part), std::string::npos) << part << once;
  EXPECT_EQ(text.reprint(once), once);

  std::string summary =
      text.reprint("tile.kernel @k(%a: memref<4xf32> {x.y = 1 : i64}, %o: memref<4xf32>) grid(%x, %y, %z) "
                   "in [1, 2, 3] outputs 1 summary \"does nothing\" attributes {m.n} { tile.return }");
  ASSERT_NE(summary, "") << text.errors;
  EXPECT_NE(summary.find("summary \"does nothing\" attributes {m.n}"), std::string::npos) << summary;
  EXPECT_NE(summary.find("{x.y = 1 : i64}"), std::string::npos) << summary;
  EXPECT_EQ(text.reprint(summary), summary);
}

} // namespace
} // namespace oriel::tests
