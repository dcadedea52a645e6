// A fresh folder per test, removed afterwards, and a few file shorthands.
#pragma once

#include "runtime/base/TemporaryFolder.h"

#include "gtest/gtest.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace oriel::trainer {

class TemporaryFolder {
public:
  std::string operator/(const std::string &name) const { return path() + "/" + name; }
  const std::string &path() const { return folder_.path(); }

private:
  runtime::TemporaryFolder folder_ = *runtime::TemporaryFolder::create("oriel test");
};

inline std::string readText(const std::string &path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

inline void writeText(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

} // namespace oriel::trainer
