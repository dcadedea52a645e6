// Who shares memory: updates in place, views, concats, pinned results, and the copies that make them legal.
#include "compiler/analysis/Storage.h"

#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

namespace oriel::analysis {
namespace {

using namespace mlir;

struct Program {
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  tape::ProgramOp program;

  explicit Program(const std::string &body, const std::string &result = "tensor<4x4xf32>") {
    context.loadDialect<tape::TapeDialect, tile::TileDialect>();
    std::string text = "tape.program @eval(%x: tensor<4x4xf32> {tape.place = #tape.place<tokens + 0>}) -> (" + result +
                       " {tape.place = #tape.place<loss + 0>}) {\n" + body + "\n}";
    module = parseSourceString<ModuleOp>(text, &context);
    if (module)
      program = *module->getOps<tape::ProgramOp>().begin();
  }
  int64_t copies() {
    auto ops = program.getBody().front().getOps<tape::CopyOp>();
    return std::distance(ops.begin(), ops.end());
  }
  /// The value that the n-th matmul makes.
  Value matmul(int64_t n) { return *std::next(program.getBody().front().getOps<tape::MatmulOp>().begin(), n); }
};

const char kType[] = " : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>\n";
const char kInto[] = " : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>\n";

TEST(Storage, UpdateInPlaceSharesMemoryWithoutCopy) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType + "%b = tape.matmul %x, %x into %a" + kInto +
            "tape.return %b : tensor<4x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap map = StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 0);
  EXPECT_EQ(map.placeOf(p.matmul(0)).storage, map.placeOf(p.matmul(1)).storage);
  EXPECT_EQ(map.storages()[map.placeOf(p.matmul(1)).storage].pinned.getBuffer(), "loss");
}

TEST(Storage, UpdateInPlaceOfAValueReadLaterCopiesIt) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType + "%b = tape.matmul %x, %x into %a" + kInto +
            "%c = tape.matmul %a, %b" + kType + "tape.return %c : tensor<4x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap map = StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
  EXPECT_NE(map.placeOf(p.matmul(0)).storage, map.placeOf(p.matmul(1)).storage);
}

TEST(Storage, UpdateInPlaceOfAnOperandOfTheSameProductCopiesIt) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType + "%b = tape.matmul %a, %x into %a" + kInto +
            "tape.return %b : tensor<4x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
}

TEST(Storage, UpdateThroughAViewOfAValueReadLaterCopiesIt) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType +
            "%v = tape.view %a[0] : tensor<4x4xf32> -> tensor<4x4xf32>\n%b = tape.matmul %x, %x into %v" + kInto +
            "%c = tape.matmul %a, %b" + kType + "tape.return %c : tensor<4x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
}

TEST(Storage, PartsOfAConcatLieInsideIt) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType + "%b = tape.matmul %x, %x" + kType +
                "%c = tape.concat %a, %b : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<8x4xf32>\ntape.return %c : "
                "tensor<8x4xf32>",
            "tensor<8x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap map = StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 0);
  EXPECT_EQ(map.placeOf(p.matmul(0)).storage, map.placeOf(p.matmul(1)).storage);
  EXPECT_EQ(map.placeOf(p.matmul(1)).offset, 64);
}

TEST(Storage, ConcatOfOneValueTwiceCopiesIt) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType +
                "%c = tape.concat %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<8x4xf32>\ntape.return %c : "
                "tensor<8x4xf32>",
            "tensor<8x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
}

TEST(Storage, ReturningAnArgumentCopiesIt) {
  Program p("tape.return %x : tensor<4x4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
}

TEST(Storage, ReturningPartOfAValueCopiesThePart) {
  Program p(std::string("%a = tape.matmul %x, %x") + kType +
                "%v = tape.view %a[4] : tensor<4x4xf32> -> tensor<4xf32>\ntape.return %v : tensor<4xf32>",
            "tensor<4xf32>");
  ASSERT_TRUE(p.program);
  StorageMap map = StorageMap::build(p.program);
  EXPECT_EQ(p.copies(), 1);
  EXPECT_FALSE(map.storages()[map.placeOf(p.matmul(0)).storage].pinned);
}

} // namespace
} // namespace oriel::analysis
