// What must hold for every text whatever: it is analyzed and formatted without a crash, failures have messages, and
// what formats is stable. Shared by the mutation test and libFuzzer.
#ifndef ORIEL_TESTS_FUZZ_FRONTEND_CHECKMODELTEXT_H
#define ORIEL_TESTS_FUZZ_FRONTEND_CHECKMODELTEXT_H

#include "compiler/frontend/Format.h"
#include "compiler/frontend/Parameters.h"
#include "compiler/frontend/Sema.h"

#include <string>
#include <string_view>

namespace oriel::frontend::test {

/// Empty, or what does not hold.
inline std::string checkModelText(std::string_view text) {
  SourceFile file("m.oriel", text);
  Diagnostics diagnostics(file);
  std::optional<Model> model = loadModel(file, {}, diagnostics);
  std::string messages = diagnostics.render();
  if (model && diagnostics.hasErrors())
    return "a model in spite of errors";
  if (!model && messages.empty())
    return "no model, but no message either";
  if (model)
    for (const Parameter &parameter : parametersOf(*model))
      if (parameter.elements() < 1)
        return "an empty parameter: " + parameter.name;

  std::string errors;
  std::optional<std::string> once = format("m.oriel", text, errors);
  if (!once)
    return errors.empty() ? "not formatted, but no message" : "";
  std::optional<std::string> twice = format("m.oriel", *once, errors);
  if (!twice)
    return "formatting broke the grammar";
  return *once == *twice ? "" : "formatting is not stable";
}

} // namespace oriel::frontend::test

#endif
