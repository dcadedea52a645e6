// What every communicator must do. A check is run by all ranks at once, each with its own communicator; it returns what
// is wrong on that rank. The same list runs on threads (LocalTest.cpp) and under mpirun (MpiMain.cpp).
#ifndef ORIEL_TESTS_CONFORMANCE_COMMUNICATOR_SUITE_H
#define ORIEL_TESTS_CONFORMANCE_COMMUNICATOR_SUITE_H

#include "runtime/communicator/Communicator.h"

#include <functional>
#include <string>
#include <vector>

namespace oriel::runtime {

struct ConformanceCheck {
  const char *name;
  std::function<absl::Status(Communicator &)> run;
};

const std::vector<ConformanceCheck> &conformanceChecks();

} // namespace oriel::runtime

#endif
