#include "tests/numerics/nvidia/Assembler.h"

#include "runtime/base/Files.h"
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>
#include <unistd.h>

namespace oriel::testing {

static std::string outputOf(const std::string &command, int &status) {
  std::string text;
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> block;
  while (size_t count = pipe ? fread(block.data(), 1, block.size(), pipe) : 0)
    text.append(block.data(), count);
  status = pipe ? pclose(pipe) : -1;
  return text;
}

std::string ptxasVersion() {
  int status = 0;
  std::string text = outputOf("ptxas --version", status);
  std::smatch match;
  return status == 0 && std::regex_search(text, match, std::regex("release ([0-9.]+)")) ? match[1].str() : "";
}

/// Instructions between one `.entry` and the next.
static void countInstructions(const std::string &ptx, std::map<std::string, KernelResources> &kernels) {
  static const std::regex entry(R"(\.entry\s+(\w+))");
  std::istringstream lines(ptx);
  std::string line, current;
  std::smatch match;
  while (std::getline(lines, line)) {
    if (std::regex_search(line, match, entry))
      current = match[1];
    else if (line.find("mma.sync") != std::string::npos)
      ++kernels[current].mma;
    else if (line.find("bar.sync") != std::string::npos || line.find("barrier.sync") != std::string::npos)
      ++kernels[current].barriers;
    else if (line.find("cp.async.cg") != std::string::npos)
      ++kernels[current].copies;
  }
}

/// ptxas -v prints for each kernel a line that names it, one of its local memory, and one of its registers.
static void readReport(const std::string &report, std::map<std::string, KernelResources> &kernels) {
  static const std::regex entry("Compiling entry function '(\\w+)'"), registers("Used (\\d+) registers"),
      local("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
  std::istringstream lines(report);
  std::string line, current;
  std::smatch match;
  while (std::getline(lines, line)) {
    if (std::regex_search(line, match, entry))
      current = match[1];
    else if (std::regex_search(line, match, local))
      kernels[current].spillBytes = std::stoll(match[1]) + std::stoll(match[2]) + std::stoll(match[3]);
    else if (std::regex_search(line, match, registers))
      kernels[current].registers = std::stoll(match[1]);
  }
}

std::map<std::string, KernelResources> assemble(const std::string &ptx, const std::string &chip, std::string &error) {
  static int count = 0;
  std::string stem = std::filesystem::temp_directory_path() /
                     ("oriel-ptx-" + std::to_string(getpid()) + "-" + std::to_string(count++));
  std::map<std::string, KernelResources> kernels;
  if (absl::Status written = runtime::writeFileAtomically(stem + ".ptx", ptx); !written.ok()) {
    error = std::string(written.message());
    return kernels;
  }
  int status = 0;
  std::string report = outputOf("ptxas -arch=" + chip + " -v " + stem + ".ptx -o /dev/null", status);
  std::filesystem::remove(stem + ".ptx");
  if (status != 0) {
    error = report;
    return kernels;
  }
  countInstructions(ptx, kernels);
  readReport(report, kernels);
  return kernels;
}

} // namespace oriel::testing
