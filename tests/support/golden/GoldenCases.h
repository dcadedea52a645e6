// Where golden cases lie: $ORIEL_GOLDEN, else the CMake variable ORIEL_GOLDEN_DIR. Tests skip without them.
#ifndef ORIEL_TESTS_SUPPORT_GOLDEN_GOLDENCASES_H
#define ORIEL_TESTS_SUPPORT_GOLDEN_GOLDENCASES_H

#include <string>
#include <vector>

namespace oriel::tests {

/// The files of one family ("rla_op"), sorted by name; empty where there is no such folder.
std::vector<std::string> goldenCasesOf(const std::string &family);

} // namespace oriel::tests

#endif
