#include "compiler/codegen/nvidia/Ptxas.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/base/TemporaryFolder.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Program.h"
#include <regex>
#include <sstream>

namespace oriel::codegen::nvidia {

static constexpr double ptxasSeconds = 1800;

static void countInstructions(const std::string &ptx, KernelResources &kernel) {
  std::istringstream lines(ptx);
  std::string line;
  auto has = [&](const char *word) { return line.find(word) != std::string::npos; };
  while (std::getline(lines, line)) {
    if (has("mma.sync"))
      ++kernel.tensorInstructions;
    else if (has("wgmma.mma_async"))
      ++kernel.tensorInstructions, ++kernel.wgmma;
    else if (has("bar.sync") || has("barrier.sync"))
      ++kernel.barriers;
    else if (has("cp.async.cg"))
      ++kernel.copies;
    else if (has("cp.async.bulk.tensor"))
      ++kernel.tensorCopies;
  }
}

/// ptxas -v prints a line of the kernel's local memory, one of its registers, and perhaps a warning.
static void readReport(const std::string &report, KernelResources &kernel) {
  static const std::regex registers("Used (\\d+) registers"),
      local("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads"),
      serialized("wgmma.mma_async instructions are serialized due to (.*) in (?:the )?function");
  std::istringstream lines(report);
  std::string line;
  std::smatch match;
  while (std::getline(lines, line)) {
    if (std::regex_search(line, match, serialized))
      kernel.serialized = match[1];
    else if (std::regex_search(line, match, local))
      kernel.spillBytes = std::stoll(match[1]) + std::stoll(match[2]) + std::stoll(match[3]);
    else if (std::regex_search(line, match, registers))
      kernel.registers = std::stoll(match[1]);
  }
}

KernelResources resourcesOf(const std::string &ptx, const std::string &report) {
  KernelResources kernel;
  countInstructions(ptx, kernel);
  readReport(report, kernel);
  return kernel;
}

Ptxas Ptxas::find() {
  Ptxas found;
  const llvm::StringRef toolkit = "/usr/local/cuda/bin";
  for (llvm::ArrayRef<llvm::StringRef> places : {llvm::ArrayRef<llvm::StringRef>(), llvm::ArrayRef(toolkit)}) {
    auto path = llvm::sys::findProgramByName("ptxas", places);
    if (!path)
      continue;
    auto result = runtime::runProcess({*path, "--version"}, runtime::Deadline::after(60));
    std::smatch match;
    if (!result.ok() || !std::regex_search(result->standardOutput, match, std::regex("release ([0-9.]+), V([0-9.]+)")))
      continue;
    found.path_ = *path;
    found.version_ = match[1];
    found.build_ = match[2];
    break;
  }
  return found;
}

Assembly Ptxas::assemble(const std::string &ptx, const std::string &chip, std::string &error) const {
  auto run = [&]() -> absl::StatusOr<Assembly> {
    ORIEL_ASSIGN_OR_RETURN(runtime::TemporaryFolder folder, runtime::TemporaryFolder::create("oriel-ptxas"));
    std::string source = folder.path() + "/kernel.ptx", target = folder.path() + "/kernel.cubin";
    ORIEL_RETURN_IF_ERROR(runtime::replaceFile(source, ptx));
    ORIEL_ASSIGN_OR_RETURN(runtime::ProcessResult result,
                           runtime::runProcess({path_, "-arch=" + chip, "-v", source, "-o", target},
                                               runtime::Deadline::after(ptxasSeconds)));
    if (result.exitStatus != 0)
      return absl::InternalError(path_ + " failed:\n" + result.standardError);
    ORIEL_ASSIGN_OR_RETURN(std::string cubin, runtime::readFile(target));
    return Assembly{std::move(cubin), result.standardOutput + result.standardError};
  };
  absl::StatusOr<Assembly> assembly = run();
  if (!assembly.ok())
    error = std::string(assembly.status().message());
  return std::move(assembly).value_or(Assembly());
}

} // namespace oriel::codegen::nvidia
