// Thousands of damaged model files, the same ones in every run: none may crash, hang or fail without a message.
#include "tests/fuzz/frontend/CheckModelText.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sstream>

namespace oriel::frontend {
namespace {

std::vector<std::string> readExamples() {
  std::vector<std::filesystem::path> paths;
  for (const auto &entry : std::filesystem::directory_iterator(ORIEL_EXAMPLES))
    if (entry.path().extension() == ".oriel")
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end()); // The order of a directory is not the same everywhere.
  std::vector<std::string> texts;
  for (const auto &path : paths) {
    std::ifstream stream(path, std::ios::binary);
    std::stringstream text;
    text << stream.rdbuf();
    texts.push_back(text.str());
  }
  return texts;
}

/// Damages texts in the ways that find bugs: bytes, words of the language, moved and repeated pieces, cut ends.
class Mutator {
public:
  explicit Mutator(unsigned seed, const std::vector<std::string> &texts) : random_(seed), texts_(texts) {}

  std::string make() {
    std::string text = texts_[below(texts_.size())];
    for (size_t i = 0, count = 1 + below(6); i < count; ++i)
      mutate(text);
    return text;
  }

private:
  size_t below(size_t limit) {
    return limit == 0 ? 0 : random_() % limit;
  } // std distributions differ between libraries.

  void mutate(std::string &text) {
    static const std::string words[] = {"model",
                                        "block",
                                        "repeat",
                                        "residual",
                                        "(",
                                        ")",
                                        "{",
                                        "}",
                                        "|",
                                        ",",
                                        "=",
                                        "-",
                                        "/ 0",
                                        "%",
                                        "*",
                                        "1e30",
                                        "4096",
                                        "99999999999",
                                        "0",
                                        "-1",
                                        "none",
                                        "full",
                                        "tied",
                                        "layer",
                                        "mixer",
                                        "d",
                                        "embed",
                                        "linear",
                                        "#",
                                        "\n",
                                        "layer(layer(mixer))",
                                        "repeat 4096 {",
                                        "rms_norm | attention(4)",
                                        "9223372036854775807",
                                        std::string(1, '\0'),
                                        "\xff\xfe"};
    size_t at = below(text.size() + 1), length = std::min(below(40), text.size() - at);
    switch (below(7)) {
    case 0:
      text.insert(at, words[below(std::size(words))]);
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      text.replace(at, length, words[below(std::size(words))]);
      break;
    case 3:
      if (at < text.size())
        text[at] = static_cast<char>(below(256));
      break;
    case 4:
      text.insert(below(text.size() + 1), text.substr(at, length * 5));
      break;
    case 5: {
      const std::string &other = texts_[below(texts_.size())];
      text.insert(at, other.substr(below(other.size()), below(200)));
      break;
    }
    case 6:
      if (below(8) == 0)
        text.resize(at);
      break;
    }
  }

  std::mt19937 random_;
  const std::vector<std::string> &texts_;
};

TEST(FrontendMutation, NeverCrashesHangsOrFailsSilently) {
  std::vector<std::string> examples = readExamples();
  ASSERT_FALSE(examples.empty());
  Mutator mutator(20261124, examples);
  size_t accepted = 0;
  constexpr int kRounds = 8000;
  for (int round = 0; round < kRounds; ++round) {
    std::string text = mutator.make();
    std::string problem = test::checkModelText(text);
    ASSERT_EQ(problem, "") << "round " << round << "\n" << text;
    SourceFile file("m.oriel", text);
    Diagnostics diagnostics(file);
    accepted += loadModel(file, {}, diagnostics).has_value();
  }
  EXPECT_GT(accepted, kRounds / 100) << "most mutations destroy the text: the deep parts are hardly reached";
  EXPECT_LT(accepted, kRounds / 2) << "most mutations do nothing";
}

TEST(FrontendMutation, SurvivesPrefixesAndSuffixes) {
  for (const std::string &text : readExamples())
    for (size_t i = 0; i < text.size(); ++i) {
      ASSERT_EQ(test::checkModelText(text.substr(0, i)), "") << text.substr(0, i);
      ASSERT_EQ(test::checkModelText(text.substr(i)), "") << text.substr(i);
    }
}

TEST(FrontendMutation, SurvivesNoise) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t i = 0, size = random() % 300; i < size; ++i)
      text += static_cast<char>(random() % 256);
    ASSERT_EQ(test::checkModelText(text), "");
    ASSERT_EQ(test::checkModelText("model m { " + text + " }"), "");
  }
}

} // namespace
} // namespace oriel::frontend
