#include "compiler/driver/Ptxas.h"

#include "runtime/base/Files.h"
#include "runtime/base/Subprocess.h"
#include "llvm/Support/Program.h"
#include <regex>
#include <sstream>

namespace oriel::driver {

using Kernels = std::map<std::string, KernelResources>;

static constexpr double ptxasSeconds = 1800;

/// Instructions between one `.entry` and the next.
static void countInstructions(const std::string &ptx, Kernels &kernels) {
  static const std::regex entry(R"(\.entry\s+(\w+))");
  std::istringstream lines(ptx);
  std::string line, current;
  std::smatch match;
  auto has = [&](const char *word) { return line.find(word) != std::string::npos; };
  while (std::getline(lines, line)) {
    if (has(".entry") && std::regex_search(line, match, entry))
      current = match[1];
    else if (has("mma.sync"))
      ++kernels[current].tensorInstructions;
    else if (has("wgmma.mma_async"))
      ++kernels[current].tensorInstructions, ++kernels[current].wgmma;
    else if (has("bar.sync") || has("barrier.sync"))
      ++kernels[current].barriers;
    else if (has("cp.async.cg"))
      ++kernels[current].copies;
    else if (has("cp.async.bulk.tensor"))
      ++kernels[current].tensorCopies;
  }
}

/// ptxas -v prints for each kernel a line that names it, one of its local memory, and one of its registers; and perhaps
/// a warning.
static void readReport(const std::string &report, Kernels &kernels) {
  static const std::regex entry("Compiling entry function '(\\w+)'"), registers("Used (\\d+) registers"),
      local("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads"),
      serialized("wgmma.mma_async instructions are serialized due to (.*) in (?:the )?function '(\\w+)'");
  std::istringstream lines(report);
  std::string line, current;
  std::smatch match;
  while (std::getline(lines, line)) {
    if (std::regex_search(line, match, entry))
      current = match[1];
    else if (std::regex_search(line, match, serialized))
      kernels[match[2]].serialized = match[1];
    else if (std::regex_search(line, match, local))
      kernels[current].spillBytes = std::stoll(match[1]) + std::stoll(match[2]) + std::stoll(match[3]);
    else if (std::regex_search(line, match, registers))
      kernels[current].registers = std::stoll(match[1]);
  }
}

std::string findPtxas() {
  for (llvm::ArrayRef<llvm::StringRef> places : {llvm::ArrayRef<llvm::StringRef>(), {"/usr/local/cuda/bin"}})
    if (auto found = llvm::sys::findProgramByName("ptxas", places))
      return *found;
  return {};
}

std::string ptxasVersion(const std::string &ptxas) {
  auto result = runtime::runProcess({ptxas, "--version"}, runtime::Deadline::after(60));
  std::smatch match;
  bool says = result.ok() && std::regex_search(result->standardOutput, match, std::regex("release ([0-9.]+)"));
  return says ? match[1].str() : std::string();
}

Kernels assemble(const std::string &ptxas, const std::string &ptx, const std::string &chip, const std::string &cubin,
                 std::string &error) {
  auto text = runtime::readFile(ptx);
  auto result =
      runtime::runProcess({ptxas, "-arch=" + chip, "-v", ptx, "-o", cubin}, runtime::Deadline::after(ptxasSeconds));
  if (!text.ok() || !result.ok()) {
    error = std::string((text.ok() ? result.status() : text.status()).message());
    return {};
  }
  if (result->exitStatus != 0) {
    error = ptxas + " failed:\n" + result->standardError;
    return {};
  }
  Kernels kernels;
  countInstructions(*text, kernels);
  readReport(result->standardOutput + result->standardError, kernels);
  return kernels;
}

} // namespace oriel::driver
