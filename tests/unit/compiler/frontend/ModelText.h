// Helpers of the frontend's tests: model texts in, models or rendered messages out.
#ifndef ORIEL_TESTS_UNIT_COMPILER_FRONTEND_MODELTEXT_H
#define ORIEL_TESTS_UNIT_COMPILER_FRONTEND_MODELTEXT_H

#include "compiler/frontend/Parameters.h"
#include "compiler/frontend/Sema.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace oriel::frontend::test {

/// All messages about `text`, as a user sees them; the file is called m.oriel.
inline std::string messagesOf(const std::string &text, const Overrides &overrides = {}) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  loadModel(file, overrides, diagnostics);
  return diagnostics.render();
}

/// The model of `text`, which must have no errors: they are thrown, so the test fails with them.
inline Model modelOf(const std::string &text, const Overrides &overrides = {}) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  std::optional<Model> model = loadModel(file, overrides, diagnostics);
  if (!model)
    throw std::runtime_error(diagnostics.render());
  return std::move(*model);
}

/// `body` between the smallest head and tail, 64 wide.
inline std::string around(const std::string &body, const std::string &definitions = "") {
  return "model m {\n" + definitions + "\nembed(vocab = 100, dim = 64)\n" + body +
         "\n| rms_norm | unembed(tied) | cross_entropy\n}\n";
}

/// "embed.weight[100,64] layers.0.norm1.weight[64] …"
inline std::string namesAndShapes(const Model &model) {
  std::string text;
  for (const Parameter &parameter : parametersOf(model)) {
    text += text.empty() ? "" : " ";
    text += parameter.name + "[";
    for (size_t i = 0; i < parameter.shape.size(); ++i)
      text += (i ? "," : "") + std::to_string(parameter.shape[i]);
    text += "]";
  }
  return text;
}

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// Every model file that ships with Oriel.
inline std::vector<std::filesystem::path> exampleFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(ORIEL_EXAMPLES))
    if (entry.path().extension() == ".oriel")
      files.push_back(entry.path());
  return files;
}

} // namespace oriel::frontend::test

#endif
