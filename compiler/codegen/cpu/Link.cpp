// Finds a linker on the PATH and makes a shared library of one object.
#include "compiler/codegen/cpu/Stages.h"

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

std::string linkSharedLibrary(llvm::StringRef object, llvm::StringRef outputSo) {
  std::string linker = findLinker();
  if (linker.empty())
    return "no linker found: install lld-22 (ld.lld-22, ld.lld or ld on the PATH)";
  std::string objectPath = (outputSo + ".o").str(), logPath = (outputSo + ".log").str();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(objectPath, error);
    if (error)
      return "cannot write " + objectPath + ": " + error.message();
    stream << object;
    stream.close();
    if (stream.has_error())
      return "cannot write " + objectPath + ": " + stream.error().message();
  }
  llvm::SmallVector<llvm::StringRef> arguments = {linker,        "-shared", "-z",     "defs",    "-z",
                                                  "noexecstack", "-o",      outputSo, objectPath};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(logPath),
                                                llvm::StringRef(logPath)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(linker, arguments, std::nullopt, redirects, 0, 0, &message);
  std::string log = readText(logPath);
  llvm::sys::fs::remove(objectPath);
  llvm::sys::fs::remove(logPath);
  if (status == 0)
    return {};
  return linker + " failed (" + std::to_string(status) + "): " + message + log;
}

} // namespace oriel::codegen
