// The .td files are documentation that runs: every op has a summary that starts with a verb, a description and an
// `mlir` example, and every example parses, verifies and survives printing and parsing.
#include "dialects/lm/LmDialect.h"
#include "tests/support/lm/LmProgram.h"
#include "tests/support/lm/OpText.h"
#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"

#include <fstream>
#include <map>
#include <sstream>

using llvm::StringRef;
using oriel::testing::LmProgram;

namespace {

struct OpDocument {
  std::string summary, description;
  std::vector<std::string> examples;
};

std::string readFile(const std::string &name) {
  std::ifstream file(std::string(ORIEL_LM_DIALECT_DIR) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The text between `open` and `close` after position 0 of `text`.
StringRef between(StringRef text, StringRef open, StringRef close) {
  auto [before, after] = text.split(open);
  return after.empty() ? StringRef() : after.split(close).first;
}

/// Op mnemonic ("lm.add") → what the .td files say about it.
std::map<std::string, OpDocument> readDocuments() {
  std::map<std::string, OpDocument> documents;
  for (const char *name : {"LmOps.td", "LmGradientOps.td", "LmFusedOps.td", "LmLinearAttention.td"}) {
    std::string text = readFile(name);
    llvm::SmallVector<StringRef> definitions;
    StringRef(text).split(definitions, "\ndef Lm_");
    for (StringRef definition : llvm::drop_begin(definitions)) {
      if (!definition.split(' ').first.trim().ends_with("Op"))
        continue;
      OpDocument document;
      document.summary = between(definition, "let summary = \"", "\"");
      document.description = between(definition, "let description = [{", "}];");
      llvm::SmallVector<StringRef> blocks;
      StringRef(document.description).split(blocks, "```mlir\n");
      for (StringRef block : llvm::drop_begin(blocks))
        document.examples.push_back(block.split("```").first.str());
      documents["lm." + between(definition, "<\"", "\"").str()] = document;
    }
  }
  return documents;
}

TEST(DescriptionsTest, EveryOpIsDescribedWithAnExample) {
  std::map<std::string, OpDocument> documents = readDocuments();
  LmProgram program("");
  int count = 0;
  for (mlir::RegisteredOperationName name : program.context().getRegisteredOperations()) {
    if (name.getDialectNamespace() != "lm")
      continue;
    ++count;
    std::string op = name.getStringRef().str();
    ASSERT_TRUE(documents.count(op)) << op;
    EXPECT_FALSE(documents[op].summary.empty()) << op;
    EXPECT_TRUE(llvm::isUpper(documents[op].summary[0])) << op;
    EXPECT_FALSE(StringRef(documents[op].description).trim().empty()) << op;
    EXPECT_NE(documents[op].description.find("(C1)"), std::string::npos) << op << " has no numbered law";
    ASSERT_FALSE(documents[op].examples.empty()) << op << " has no mlir example";
    for (const std::string &example : documents[op].examples)
      EXPECT_NE(example.find(op + " "), std::string::npos) << op;
  }
  EXPECT_EQ(size_t(count), documents.size());
}

TEST(DescriptionsTest, EveryExampleRoundTrips) {
  for (const auto &[op, document] : readDocuments())
    for (const std::string &example : document.examples) {
      std::string text = oriel::testing::functionAround(example);
      ASSERT_FALSE(text.empty()) << example;
      LmProgram first(text);
      ASSERT_TRUE(first.valid()) << op << ":\n" << example << first.errors();
      LmProgram second(first.text());
      ASSERT_TRUE(second.valid()) << op << ":\n" << first.text() << second.errors();
      EXPECT_EQ(first.text(), second.text());
    }
}

} // namespace
