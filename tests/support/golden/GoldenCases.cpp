#include "tests/support/golden/GoldenCases.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace oriel::tests {

std::vector<std::string> goldenCasesOf(const std::string &family) {
  const char *variable = std::getenv("ORIEL_GOLDEN");
  std::filesystem::path folder = variable ? variable : ORIEL_GOLDEN_DIR;
  std::vector<std::string> cases;
  std::error_code error; // no folder, no cases
  for (const auto &entry : std::filesystem::directory_iterator(folder / family, error))
    if (entry.path().extension() == ".safetensors")
      cases.push_back(entry.path().string());
  std::sort(cases.begin(), cases.end());
  return cases;
}

} // namespace oriel::tests
