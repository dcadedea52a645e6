// The .td file is documentation that runs: every op has a summary, and its example parses, verifies and round-trips.
#include "dialects/tape/TapeOps.h"
#include "dialects/tile/TileOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <fstream>
#include <map>
#include <sstream>

namespace oriel::tape {
namespace {

using llvm::StringRef;

struct Document {
  std::string summary, example;
};

StringRef between(StringRef text, StringRef open, StringRef close) {
  return text.split(open).second.split(close).first;
}

/// By mnemonic.
std::map<std::string, Document> readDocuments() {
  std::ifstream file(std::string(ORIEL_TAPE_DIALECT_DIR) + "/TapeOps.td");
  std::stringstream stream;
  stream << file.rdbuf();
  std::string text = stream.str();
  std::map<std::string, Document> documents;
  llvm::SmallVector<StringRef> definitions;
  StringRef(text).split(definitions, "\ndef Tape_");
  for (StringRef definition : definitions)
    if (definition.split(' ').first.ends_with("Op"))
      documents[between(definition, "<\"", "\"").str()] = {between(definition, "let summary = \"", "\"").str(),
                                                           between(definition, "```mlir\n", "```").str()};
  return documents;
}

/// What an example takes from its surroundings: values named %x, %y, %w, %acc of the types it uses them with.
const std::map<std::string, std::vector<std::string>> surroundings = {
    {"call", {"%x: tensor<64x32xf32>"}},
    {"matmul", {"%x: tensor<2x8x64xf32>", "%w: tensor<96x64xf32>", "%acc: tensor<96x64xf32>"}},
    {"view", {"%x: tensor<64x32xf32>"}},
    {"concat", {"%b0: tensor<16x32xf32>", "%b1: tensor<16x32xf32>"}},
    {"copy", {"%x: tensor<64xf32>"}},
    {"save", {"%x: tensor<64x32xf32>", "%y: tensor<64xf32>"}},
    {"shard", {"%x: tensor<64xf32>"}},
    {"all_gather", {"%x: tensor<32xf32>"}},
    {"reduce_scatter", {"%x: tensor<64xf32>"}},
};

constexpr StringRef kernels = R"(
tile.kernel @copy(%a: memref<64x32xf32>, %o: memref<64x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 { tile.return }
tile.kernel @add(%a: memref<64x32xf32>, %o: memref<64x32xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 { tile.return }
)";

std::string inProgram(const std::string &op, const std::string &example) {
  if (op == "program" || op == "return" || op == "schedule")
    return example;
  std::string arguments;
  if (auto found = surroundings.find(op); found != surroundings.end())
    for (const std::string &argument : found->second)
      arguments += (arguments.empty() ? "" : ", ") + argument + " {tape.place = #tape.place<tokens + 0>}";
  return kernels.str() + "tape.program @eval(" + arguments + ") {\n" + example + "tape.return\n}\n";
}

/// Parses, verifies and prints; empty with the errors in `errors` when that fails.
std::string reprint(const std::string &text, std::string &errors) {
  mlir::MLIRContext context;
  context.loadDialect<TapeDialect, tile::TileDialect>();
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) { errors += diagnostic.str() + "\n"; });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  if (module)
    module->print(stream);
  return printed;
}

TEST(TapeDescriptions, EveryOpIsDescribed) {
  auto documents = readDocuments();
  mlir::MLIRContext context;
  context.loadDialect<TapeDialect>();
  int count = 0;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations()) {
    if (name.getDialectNamespace() != "tape")
      continue;
    ++count;
    std::string op = name.stripDialect().str();
    EXPECT_FALSE(documents[op].summary.empty()) << op;
    EXPECT_FALSE(documents[op].example.empty()) << op;
  }
  EXPECT_EQ(count, 15);
}

TEST(TapeDescriptions, EveryExampleRoundTrips) {
  for (auto &[op, document] : readDocuments()) {
    SCOPED_TRACE(op);
    std::string errors, once = reprint(inProgram(op, document.example), errors);
    ASSERT_NE(once, "") << errors << document.example;
    EXPECT_NE(once.find("tape." + op), std::string::npos) << once;
    EXPECT_EQ(reprint(once, errors), once);
  }
}

} // namespace
} // namespace oriel::tape
