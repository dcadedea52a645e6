// Texts to documents and token files: nothing is lost, the split is what it says, errors name file and line.
#include "trainer/data/TokenFile.h"
#include "trainer/data/TokenizeCorpus.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Document {
  std::string text;
  bool validation;
  bool operator==(const Document &) const = default;
};

absl::StatusOr<std::vector<Document>> documentsOf(const CorpusOptions &options) {
  std::vector<Document> documents;
  absl::Status status = readCorpus(options, [&](std::string_view text, bool validation) {
    documents.push_back({std::string(text), validation});
    return absl::OkStatus();
  });
  if (!status.ok())
    return status;
  return documents;
}

std::string numberedLines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += "line number " + std::to_string(i) + "\n";
  return text;
}

TEST(Corpus, SplitsFilesInBlocksWithoutLosingAByte) {
  TemporaryFolder folder;
  std::string text = numberedLines(5000);
  writeText(folder / "a.txt", text);
  auto documents = documentsOf({{folder / "a.txt"}, DocumentKind::File, "text", 5, 1000});
  ASSERT_TRUE(documents.ok()) << documents.status();
  std::string joined;
  size_t validationBytes = 0, trainBytes = 0;
  for (size_t i = 0; i < documents->size(); ++i) {
    const Document &document = (*documents)[i];
    joined += document.text;
    (document.validation ? validationBytes : trainBytes) += document.text.size();
    EXPECT_EQ(document.validation, i % 2 == 1) << "runs of blocks alternate";
    EXPECT_EQ(document.text.back(), '\n') << "cuts are at line ends";
  }
  EXPECT_EQ(joined, text);
  EXPECT_NEAR(static_cast<double>(validationBytes) / static_cast<double>(text.size()), 0.2, 0.02);
  EXPECT_GT((*documents)[0].text.size(), 3 * (*documents)[1].text.size()) << "four blocks are one document";
}

TEST(Corpus, ShortTextsGiveTheirShare) {
  TemporaryFolder folder;
  for (DocumentKind kind : {DocumentKind::File, DocumentKind::Paragraph}) {
    CorpusOptions options{{}, kind, "text", 5, 1000};
    for (int i = 0; i < 40; ++i) {
      options.inputs.push_back(folder / (std::to_string(i) + ".txt"));
      std::string text;
      for (int line = 0; line < 100; ++line)
        text += "twenty-four characters.\n" + std::string(line % 10 == 9 ? "\n" : ""); // 2.4 kB: no fifth block of its own
      writeText(options.inputs.back(), text);
    }
    auto documents = documentsOf(options);
    ASSERT_TRUE(documents.ok()) << documents.status();
    double validation = 0, all = 0;
    for (const Document &document : *documents) {
      all += static_cast<double>(document.text.size());
      validation += document.validation ? static_cast<double>(document.text.size()) : 0;
    }
    EXPECT_NEAR(validation / all, 0.2, 0.05);
  }
}

TEST(Corpus, WithoutASplitAFileIsADocument) {
  TemporaryFolder folder;
  writeText(folder / "a.txt", "one\ntwo");
  writeText(folder / "b.txt", "");
  writeText(folder / "c.txt", "three");
  auto documents = documentsOf({{folder / "a.txt", folder / "b.txt", folder / "c.txt"}});
  ASSERT_TRUE(documents.ok());
  EXPECT_THAT(*documents, ElementsAre(Document{"one\ntwo", false}, Document{"three", false}));
}

TEST(Corpus, CutsLongLinesBetweenCharacters) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += "\u4e2d"; // three bytes, no line end anywhere
  writeText(folder / "a.txt", text);
  auto documents = documentsOf({{folder / "a.txt"}, DocumentKind::File, "text", 2, 1000});
  ASSERT_TRUE(documents.ok());
  std::string joined;
  for (const Document &document : *documents) {
    EXPECT_EQ(document.text.size() % 3, 0u);
    joined += document.text;
  }
  EXPECT_EQ(joined, text);
  EXPECT_GT(documents->size(), 2u);
}

TEST(Corpus, ReadsParagraphs) {
  TemporaryFolder folder;
  writeText(folder / "a.txt", "\n\nfirst\nstill first\n\n\n\nsecond\n\nlast");
  auto documents = documentsOf({{folder / "a.txt"}, DocumentKind::Paragraph});
  ASSERT_TRUE(documents.ok());
  EXPECT_THAT(*documents, ElementsAre(Document{"first\nstill first\n", false}, Document{"second\n", false},
                                      Document{"last", false}));
}

TEST(Corpus, ReadsJsonLines) {
  TemporaryFolder folder;
  writeText(folder / "a.jsonl", "{\"text\": \"one\\n\"}\n\n{\"id\": 3, \"text\": \"caf\\u00e9\"}");
  auto documents = documentsOf({{folder / "a.jsonl"}, DocumentKind::Jsonl});
  ASSERT_TRUE(documents.ok()) << documents.status();
  EXPECT_THAT(*documents, ElementsAre(Document{"one\n", false}, Document{"caf\u00e9", false}));
  writeText(folder / "b.jsonl", "{\"text\": \"one\"}\n{\"text\": 1}\n");
  EXPECT_THAT(std::string(documentsOf({{folder / "b.jsonl"}, DocumentKind::Jsonl}).status().message()),
              HasSubstr("b.jsonl:2: there is no string 'text' (--field names another)"));
  writeText(folder / "c.jsonl", "{\"text\": \"one\"\n");
  EXPECT_THAT(std::string(documentsOf({{folder / "c.jsonl"}, DocumentKind::Jsonl}).status().message()),
              HasSubstr("c.jsonl:1: not a JSON object"));
}

TEST(Corpus, RefusesBadOptions) {
  TemporaryFolder folder;
  EXPECT_THAT(std::string(documentsOf({}).status().message()), HasSubstr("no input files"));
  EXPECT_EQ(documentsOf({{folder / "none"}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(documentsOf({{folder / "none"}, DocumentKind::File, "text", 1, 1000}).ok());
  EXPECT_FALSE(documentsOf({{folder.path()}}).ok()) << "a folder";
}

TEST(TokenizeCorpus, WritesBothSets) {
  TemporaryFolder folder;
  writeText(folder / "a.txt", numberedLines(2000));
  auto tokenizer = makeTokenizer("byte");
  auto result = tokenizeCorpus({{folder / "a.txt"}, DocumentKind::File, "text", 4, 500}, **tokenizer, folder / "out/x");
  ASSERT_TRUE(result.ok()) << result.status();
  auto train = TokenFile::open(folder / "out/x-train"), validation = TokenFile::open(folder / "out/x-val");
  ASSERT_TRUE(train.ok() && validation.ok());
  EXPECT_EQ(train->tokenCount(), result->train.tokens);
  EXPECT_EQ(validation->documentCount(), result->validation.documents);
  EXPECT_EQ(train->tokenCount() + validation->tokenCount(),
            static_cast<int64_t>(numberedLines(2000).size()) + train->documentCount() + validation->documentCount());
  std::vector<int32_t> last(1);
  ASSERT_TRUE(train->read(train->documentStart(1) - 1, last, 257).ok());
  EXPECT_EQ(last[0], 256) << "a document ends with its mark";
}

TEST(TokenizeCorpus, LeavesNothingAfterAnError) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "out");
  auto tokenizer = makeTokenizer("byte");
  writeText(folder / "a.jsonl", "{\"text\": \"one\"}\nbroken\n");
  EXPECT_FALSE(tokenizeCorpus({{folder / "a.jsonl"}, DocumentKind::Jsonl}, **tokenizer, folder / "out/x").ok());
  writeText(folder / "small.txt", "tiny");
  auto result =
      tokenizeCorpus({{folder / "small.txt"}, DocumentKind::File, "text", 20, 1000}, **tokenizer, folder / "out/x");
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("x-val would be empty"));
  EXPECT_TRUE(std::filesystem::is_empty(folder / "out"));
}

} // namespace
} // namespace oriel::trainer
