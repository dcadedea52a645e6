// A fixture for tests that plant mistakes: kernels are lowered to text with the locations that checks tell, the text is
// changed, and the changed kernel runs under checks.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_PLANTEDTEST_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_PLANTEDTEST_H

#include "tests/support/nvidia/NvidiaTest.h"

namespace oriel::testing {

class PlantedTest : public NvidiaTest {
protected:
  /// Runs the only kernel of `lowered` with `text` in place of its own.
  absl::Status run(LoweredKernels &lowered, const std::string &text, const std::vector<void *> &buffers,
                   runtime::emulated::LaunchReport *report = nullptr) {
    lowered.nvvm = parse(text);
    auto kernels = EmulatedKernels::compile(lowered);
    return kernels.ok() ? (*kernels)->launch(0, buffers, 1, report) : kernels.status();
  }
};

inline std::vector<size_t> placesOf(const std::string &text, const std::string &what) {
  std::vector<size_t> places;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
    places.push_back(at);
  return places;
}

inline std::string withoutLineAt(std::string text, size_t place) {
  size_t begin = text.rfind('\n', place) + 1;
  return text.erase(begin, text.find('\n', place) - begin);
}

inline std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

} // namespace oriel::testing

#endif
