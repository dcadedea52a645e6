// libFuzzer entry of the frontend. Built only with clang and ORIEL_LIBFUZZER; see CMakeLists.txt for how to run it.
#include "tests/fuzz/frontend/CheckModelText.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string problem = oriel::frontend::test::checkModelText({reinterpret_cast<const char *>(data), size});
  if (!problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::abort();
  }
  return 0;
}
