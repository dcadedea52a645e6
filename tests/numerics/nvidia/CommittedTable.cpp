#include "tests/numerics/nvidia/CommittedTable.h"

#include "runtime/base/Files.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <sstream>

namespace oriel::testing {

CommittedTable::CommittedTable(const std::string &file) : path_(std::string(ORIEL_TESTS) + "/" + file) {
  auto text = runtime::readFile(path_);
  std::istringstream in(text.ok() ? *text : "");
  std::getline(in, head_);
  for (std::string line; std::getline(in, line);)
    if (size_t space = line.find(' '); space != std::string::npos)
      lines_[line.substr(0, space)] = line.substr(line.find_first_not_of(' ', space));
}

bool CommittedTable::isUpdate() { return std::getenv("ORIEL_UPDATE_KERNEL_TABLE") != nullptr; }

void CommittedTable::expect(const std::string &head, const Lines &lines, const std::string &prefix) {
  Lines was;
  for (auto line = lines_.begin(); line != lines_.end();)
    if (line->first.starts_with(prefix)) {
      was.insert(*line);
      line = lines_.erase(line);
    } else {
      ++line;
    }
  lines_.insert(lines.begin(), lines.end());
  if (isUpdate()) {
    std::string text = head + "\n";
    for (const auto &[name, line] : lines_)
      text += name + "  " + line + "\n";
    EXPECT_EQ(runtime::writeFileAtomically(path_, text), absl::OkStatus());
    return;
  }
  EXPECT_EQ(head, head_);
  for (const auto &[name, line] : lines)
    EXPECT_EQ(line, was.count(name) ? was[name] : "(not there)") << name;
  for (const auto &[name, line] : was)
    EXPECT_TRUE(lines.count(name)) << name << " is gone";
}

} // namespace oriel::testing
