// Finds a linker on the PATH and makes a shared library of objects.
#include "compiler/codegen/host/Link.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

namespace oriel::codegen {

static std::string findLinker() {
  llvm::StringRef llvmFolder = "/usr/lib/llvm-22/bin";
  for (llvm::StringRef name : {"ld.lld-22", "ld.lld", "ld"}) {
    if (auto onPath = llvm::sys::findProgramByName(name))
      return *onPath;
    if (auto beside = llvm::sys::findProgramByName(name, {llvmFolder}))
      return *beside;
  }
  return {};
}

static std::string readText(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

/// Writes `bytes`; the error text on failure.
static std::string writeFile(llvm::StringRef path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (!error) {
    stream << bytes;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  return error ? ("cannot write " + path + ": " + error.message()).str() : std::string();
}

std::string linkSharedLibrary(llvm::ArrayRef<llvm::StringRef> objects, llvm::StringRef outputSo) {
  std::string linker = findLinker();
  if (linker.empty())
    return "no linker found: install lld-22 (ld.lld-22, ld.lld or ld on the PATH)";
  std::string logPath = (outputSo + ".log").str();
  std::vector<std::string> paths;
  std::string error;
  for (size_t i = 0; i < objects.size() && error.empty(); ++i) {
    paths.push_back((outputSo + "." + llvm::Twine(i) + ".o").str());
    error = writeFile(paths.back(), objects[i]);
  }
  if (error.empty()) {
    llvm::SmallVector<llvm::StringRef> arguments = {linker,        "-shared",         "-z", "defs",  "-z",
                                                    "noexecstack", "--build-id=none", "-o", outputSo};
    arguments.append(paths.begin(), paths.end());
    std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(logPath),
                                                  llvm::StringRef(logPath)};
    std::string message;
    int status = llvm::sys::ExecuteAndWait(linker, arguments, std::nullopt, redirects, 0, 0, &message);
    if (status != 0)
      error = linker + " failed (" + std::to_string(status) + "): " + message + readText(logPath);
  }
  for (const std::string &path : paths)
    llvm::sys::fs::remove(path);
  llvm::sys::fs::remove(logPath);
  return error;
}

} // namespace oriel::codegen
