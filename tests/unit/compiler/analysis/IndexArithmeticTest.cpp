// Every op that is computed here agrees with MLIR's own folding of it, for all pairs of awkward numbers.
#include "compiler/analysis/IndexArithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

namespace oriel::analysis {
namespace {

using namespace mlir;

constexpr int64_t awkward[] = {-65536, -7, -2, -1, 0, 1, 2, 3, 64, 1000003};

class IndexArithmetic : public testing::Test {
protected:
  IndexArithmetic() { context.loadDialect<arith::ArithDialect>(); }

  /// `%r = text` over %a, %b and %c of that type, each an own value that MLIR does not know.
  Operation *parse(const std::string &op, const std::string &type) {
    module = parseSourceString<ModuleOp>("%a, %b, %c = \"values\"() : () -> (" + type + ", " + type + ", i1)\n%r = " + op, &context);
    return module ? &module->getBody()->back() : nullptr;
  }

  /// Of the operands by their names a, b, c.
  Known evaluate(Operation *op, Known a, Known b, Known c) {
    std::vector<Known> values = {a, b, c, std::nullopt};
    auto numberOf = [](Value value) -> unsigned {
      auto result = cast<OpResult>(value);
      return result.getOwner()->getNumResults() == 3 ? result.getResultNumber() : 3;
    };
    IndexExpression(op, numberOf).evaluate(values);
    return values[3];
  }

  Known folded(Operation *op, int64_t a, int64_t b, int64_t c) {
    int64_t numbers[] = {a, b, c};
    SmallVector<Attribute> operands;
    for (Value operand : op->getOperands())
      operands.push_back(IntegerAttr::get(operand.getType(), numbers[cast<OpResult>(operand).getResultNumber()]));
    SmallVector<OpFoldResult> results;
    if (failed(op->fold(operands, results)) || results.empty())
      return std::nullopt;
    if (auto same = dyn_cast<Value>(results[0]))
      return numbers[cast<OpResult>(same).getResultNumber()];
    return cast<IntegerAttr>(cast<Attribute>(results[0])).getValue().getSExtValue();
  }

  MLIRContext context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> module;
};

TEST_F(IndexArithmetic, AgreesWithFolding) {
  context.allowUnregisteredDialects();
  for (std::string type : {"index", "i64", "i32"})
    for (std::string name : {"addi", "subi", "muli", "divsi", "remsi", "ceildivsi", "floordivsi", "minsi", "maxsi", "andi", "ori", "xori",
                             "divui", "remui", "minui", "maxui", "cmpi eq,", "cmpi ne,", "cmpi slt,", "cmpi sle,", "cmpi sgt,",
                             "cmpi sge,", "cmpi ult,", "cmpi uge,", "select %c,"}) {
      Operation *op = parse("arith." + name + " %a, %b : " + type, type);
      ASSERT_TRUE(op) << name;
      for (int64_t a : awkward)
        for (int64_t b : awkward)
          for (int64_t c : {-1, 0})
            EXPECT_EQ(evaluate(op, a, b, c), folded(op, a, b, c)) << name << ' ' << type << ' ' << a << ' ' << b << ' ' << c;
    }
}

TEST_F(IndexArithmetic, CastsWrapAsFoldingDoes) {
  context.allowUnregisteredDialects();
  for (auto [cast, from] : {std::pair("arith.index_cast %a : index to i32", "index"), {"arith.index_cast %a : i32 to index", "i32"},
                            {"arith.extsi %a : i32 to i64", "i32"}, {"arith.trunci %a : i64 to i32", "i64"},
                            {"arith.trunci %a : i64 to i8", "i64"}}) {
    Operation *op = parse(cast, from);
    ASSERT_TRUE(op) << cast;
    for (int64_t a : awkward)
      EXPECT_EQ(evaluate(op, a, 0, 0), folded(op, a, 0, 0)) << cast << ' ' << a;
    int64_t wide = from == std::string("i32") ? 5 : (int64_t{1} << 31) + 5;
    EXPECT_EQ(evaluate(op, wide, 0, 0), folded(op, wide, 0, 0)) << cast;
  }
}

TEST_F(IndexArithmetic, WhatOneOperandDecidesIsKnown) {
  context.allowUnregisteredDialects();
  EXPECT_EQ(evaluate(parse("arith.muli %a, %b : index", "index"), std::nullopt, 0, std::nullopt), 0);
  EXPECT_EQ(evaluate(parse("arith.addi %a, %b : index", "index"), std::nullopt, 0, std::nullopt), std::nullopt);
  EXPECT_EQ(evaluate(parse("arith.select %c, %a, %b : index", "index"), std::nullopt, 5, 0), 5);
  EXPECT_EQ(evaluate(parse("arith.select %c, %a, %b : index", "index"), 4, 5, std::nullopt), std::nullopt);
  EXPECT_EQ(evaluate(parse("arith.andi %c, %c : i1", "i1"), 0, 0, 0), 0);
}

} // namespace
} // namespace oriel::analysis
