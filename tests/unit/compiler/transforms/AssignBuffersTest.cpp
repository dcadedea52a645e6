// Assigned memory means the same as values: random tape programs run once by value and once in the places that
// --oriel-assign-buffers gave them, over poisoned memory.
#include "compiler/transforms/Passes.h"

#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <cmath>
#include <map>
#include <random>

namespace oriel::transforms {
namespace {

using namespace mlir;
using Numbers = std::vector<float>;

// ---------------------------------------------------------------------------------------------------------------------
// Random programs
// ---------------------------------------------------------------------------------------------------------------------

/// A kernel whose result may lie where either input lies. Only its signature counts here.
const char kSum[] =
    "tile.kernel @sum(%a: memref<4x4xf32>, %b: memref<4x4xf32>, "
    "%y: memref<4x4xf32> {tile.replaces = array<i64: 0, 1>}) grid(%x, %y1, %z) in [1, 1, 1] outputs 1 {\n"
    "tile.return\n}";

/// Values are 4x4 (small) and 8x4 (large). Two results: one at loss + 0, one inside grads.
class RandomProgram {
public:
  RandomProgram(MLIRContext &context, unsigned seed) : rng_(seed), builder_(&context) {
    small_ = RankedTensorType::get({4, 4}, builder_.getF32Type());
    large_ = RankedTensorType::get({8, 4}, builder_.getF32Type());
    module_ = parseSourceString<ModuleOp>(kSum, &context);
    builder_.setInsertionPointToEnd(module_->getBody());
    auto type = builder_.getFunctionType({small_}, {small_, large_});
    program_ = tape::ProgramOp::create(builder_, builder_.getUnknownLoc(), "eval", type);
    program_.setArgumentPlace(0, tape::PlaceAttr::get(&context, "tokens", 0, 0));
    program_.setResultPlace(0, tape::PlaceAttr::get(&context, "loss", 0, 0));
    program_.setResultPlace(1, tape::PlaceAttr::get(&context, "grads", 512, 0));
    builder_.setInsertionPointToEnd(&program_.getBody().front());
    smalls_.push_back(program_.getBody().getArgument(0));
    addConstant();
    addConcat();
    for (int i = 0; i < 14; ++i)
      addOp();
    tape::ReturnOp::create(builder_, builder_.getUnknownLoc(), ValueRange{pick(smalls_), pick(larges_)});
  }

  ModuleOp module() { return *module_; }
  tape::ProgramOp program() { return program_; }

private:
  Value pick(const std::vector<Value> &values) { return values[rng_() % values.size()]; }

  void addConstant() {
    Numbers numbers(16);
    for (float &number : numbers)
      number = std::uniform_real_distribution<float>(-0.5f, 0.5f)(rng_);
    smalls_.push_back(tape::ConstantOp::create(builder_, builder_.getUnknownLoc(),
                                               DenseElementsAttr::get(small_, ArrayRef<float>(numbers))));
  }
  void addConcat() {
    Value first = pick(smalls_), second = pick(smalls_);
    larges_.push_back(
        tape::ConcatOp::create(builder_, builder_.getUnknownLoc(), large_, ValueRange{first, second}, ArrayAttr()));
  }
  void addMatmul(bool update) {
    Value a = pick(smalls_), b = pick(smalls_), into = update ? pick(smalls_) : Value();
    // The program's argument is the caller's: it may not be updated.
    if (into && isa<BlockArgument>(into))
      into = {};
    smalls_.push_back(tape::MatmulOp::create(builder_, builder_.getUnknownLoc(), small_, a, b, into, rng_() % 2 == 0,
                                             rng_() % 2 == 0, ArrayAttr()));
  }
  void addSum() {
    Value a = pick(smalls_), b = pick(smalls_);
    smalls_.push_back(
        tape::CallOp::create(builder_, builder_.getUnknownLoc(), "sum", TypeRange{small_}, ValueRange{a, b})
            .getOutputs()
            .front());
  }
  void addOp() {
    switch (rng_() % 8) {
    case 0:
      return addConcat();
    case 1:
      smalls_.push_back(tape::ViewOp::create(builder_, builder_.getUnknownLoc(), small_, pick(larges_),
                                             static_cast<int64_t>(rng_() % 5) * 4, ArrayAttr()));
      return;
    case 2:
      smalls_.push_back(tape::ZeroOp::create(builder_, builder_.getUnknownLoc(), small_, ArrayAttr()));
      return;
    case 3:
      return addMatmul(false);
    case 4:
    case 5:
      return addSum();
    default:
      return addMatmul(true);
    }
  }

  std::mt19937 rng_;
  OpBuilder builder_;
  RankedTensorType small_, large_;
  OwningOpRef<ModuleOp> module_;
  tape::ProgramOp program_;
  std::vector<Value> smalls_, larges_;
};

float entry(const float *matrix, bool transposed, int row, int col) {
  return transposed ? matrix[col * 4 + row] : matrix[row * 4 + col];
}

Numbers tableOf(tape::ConstantOp op) {
  auto values = cast<DenseElementsAttr>(op.getValue()).getValues<float>();
  return {values.begin(), values.end()};
}

// ---------------------------------------------------------------------------------------------------------------------
// By value
// ---------------------------------------------------------------------------------------------------------------------

std::vector<Numbers> runByValue(tape::ProgramOp program, const Numbers &input) {
  llvm::DenseMap<Value, Numbers> values;
  values[program.getBody().getArgument(0)] = input;
  for (Operation &op : program.getBody().front().without_terminator()) {
    Numbers result;
    if (auto constant = dyn_cast<tape::ConstantOp>(op)) {
      result = tableOf(constant);
    } else if (isa<tape::ZeroOp>(op)) {
      result.assign(16, 0.0f);
    } else if (auto concat = dyn_cast<tape::ConcatOp>(op)) {
      for (Value part : concat.getParts())
        result.insert(result.end(), values[part].begin(), values[part].end());
    } else if (auto view = dyn_cast<tape::ViewOp>(op)) {
      auto begin = values[view.getSource()].begin() + view.getOffset();
      result.assign(begin, begin + 16);
    } else if (auto sum = dyn_cast<tape::CallOp>(op)) {
      for (auto [a, b] : llvm::zip(values[sum.getInputs()[0]], values[sum.getInputs()[1]]))
        result.push_back(a + b);
    } else {
      auto matmul = cast<tape::MatmulOp>(op);
      Numbers a = values[matmul.getA()], b = values[matmul.getB()];
      result = matmul.getInit() ? values[matmul.getInit()] : Numbers(16, 0.0f);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
          for (int k = 0; k < 4; ++k)
            result[i * 4 + j] +=
                entry(a.data(), matmul.getTransposeA(), i, k) * entry(b.data(), matmul.getTransposeB(), k, j);
    }
    values[op.getResult(0)] = result;
  }
  Operation *terminator = program.getBody().front().getTerminator();
  return {values[terminator->getOperand(0)], values[terminator->getOperand(1)]};
}

// ---------------------------------------------------------------------------------------------------------------------
// In memory
// ---------------------------------------------------------------------------------------------------------------------

class Memory {
public:
  float *at(tape::PlaceAttr place) {
    auto [it, isNew] = buffers_.try_emplace(place.getBuffer().str());
    if (isNew)
      it->second.assign(4096, std::nanf(""));
    return it->second.data() + place.getOffset() / 4;
  }
  float *of(Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return at(cast<tape::ProgramOp>(argument.getOwner()->getParentOp()).getArgumentPlace(argument.getArgNumber()));
    return at(cast<tape::PlaceAttr>(value.getDefiningOp()->getAttrOfType<ArrayAttr>(tape::atAttrName)[0]));
  }

private:
  std::map<std::string, Numbers> buffers_;
};

void runMatmul(Memory &memory, tape::MatmulOp op) {
  float *result = memory.of(op.getResult());
  if (!op.getInit())
    std::fill_n(result, 16, 0.0f); // what operands would lie here is lost, as in a real product
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k)
        result[i * 4 + j] += entry(memory.of(op.getA()), op.getTransposeA(), i, k) *
                             entry(memory.of(op.getB()), op.getTransposeB(), k, j);
}

std::vector<Numbers> runInMemory(tape::ProgramOp program, const Numbers &input) {
  Memory memory;
  llvm::copy(input, memory.of(program.getBody().getArgument(0)));
  for (auto constant : program.getBody().front().getOps<tape::ConstantOp>())
    llvm::copy(tableOf(constant), memory.of(constant));
  for (Operation &op : program.getBody().front().without_terminator()) {
    if (auto matmul = dyn_cast<tape::MatmulOp>(op))
      runMatmul(memory, matmul);
    else if (auto sum = dyn_cast<tape::CallOp>(op))
      for (int i = 0; i < 16; ++i)
        memory.of(sum.getOutputs()[0])[i] = memory.of(sum.getInputs()[0])[i] + memory.of(sum.getInputs()[1])[i];
    else if (isa<tape::ZeroOp>(op))
      std::fill_n(memory.of(op.getResult(0)), 16, 0.0f);
    else if (auto copy = dyn_cast<tape::CopyOp>(op))
      std::copy_n(memory.of(copy.getSource()), tape::elementCount(copy.getType()), memory.of(copy));
  }
  float *small = memory.at(program.getResultPlace(0)), *large = memory.at(program.getResultPlace(1));
  return {Numbers(small, small + 16), Numbers(large, large + 32)};
}

/// The places of steps' results; null for arguments.
SmallVector<Attribute> placesOf(ValueRange values) {
  return llvm::map_to_vector(values, [](Value value) {
    Operation *op = value.getDefiningOp();
    return op ? op->getAttrOfType<ArrayAttr>(tape::atAttrName)[0] : Attribute();
  });
}

TEST(AssignBuffers, RandomProgramsMeanTheSameInMemory) {
  MLIRContext context;
  context.loadDialect<tape::TapeDialect, tile::TileDialect>();
  Numbers input(16);
  for (size_t i = 0; i < input.size(); ++i)
    input[i] = 0.1f * static_cast<float>(i) - 0.7f;
  int copies = 0, replaced = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    RandomProgram random(context, seed);
    ASSERT_TRUE(succeeded(verify(random.module())));
    std::vector<Numbers> expected = runByValue(random.program(), input);
    PassManager pm(&context);
    pm.addPass(createAssignBuffersPass());
    ASSERT_TRUE(succeeded(pm.run(random.module())));
    auto inserted = random.program().getBody().front().getOps<tape::CopyOp>();
    copies += std::distance(inserted.begin(), inserted.end());
    for (auto call : random.program().getBody().front().getOps<tape::CallOp>())
      replaced += llvm::is_contained(placesOf(call.getInputs()), placesOf(call.getOutputs()).front());
    EXPECT_EQ(runInMemory(random.program(), input), expected) << "seed " << seed;
  }
  EXPECT_GT(replaced, 0);
  EXPECT_GT(copies, 0); // the programs do contain updates of values that are read later
}

} // namespace
} // namespace oriel::transforms
