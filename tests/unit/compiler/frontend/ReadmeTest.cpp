// The page that describes the language names every layer and every option there is.
#include "compiler/frontend/Layers.h"
#include "tests/unit/compiler/frontend/ModelText.h"

#include <gtest/gtest.h>
#include <regex>

namespace oriel::frontend {
namespace {

TEST(Readme, NamesEveryLayerAndOption) {
  std::string readme = test::readFile(ORIEL_README);
  auto mentions = [&](std::string_view word) {
    return std::regex_search(readme, std::regex("\\b" + std::string(word) + "\\b"));
  };
  for (const LayerSpec &layer : layerSpecs()) {
    EXPECT_TRUE(mentions(layer.name)) << layer.name;
    for (const OptionSpec &option : layer.options) {
      if (option.name != "weights") { // Always given by position: unembed(tied).
        EXPECT_TRUE(mentions(option.name)) << layer.name << " " << option.name;
      }
      for (std::string_view word : option.words)
        EXPECT_TRUE(mentions(word)) << layer.name << " " << option.name << " " << word;
    }
  }
}

} // namespace
} // namespace oriel::frontend
