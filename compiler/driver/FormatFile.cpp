#include "compiler/driver/FormatFile.h"
#include "compiler/frontend/Format.h"
#include "runtime/base/Files.h"

namespace oriel::driver {

static bool formatFile(const std::string &path, bool check, llvm::raw_ostream &errors) {
  absl::StatusOr<std::string> text = runtime::readFile(path);
  if (!text.ok()) {
    errors << "orielc fmt: " << std::string(text.status().message()) << "\n";
    return false;
  }
  std::string problems;
  std::optional<std::string> formatted = frontend::format(path, *text, problems);
  if (!formatted) {
    errors << problems;
    return false;
  }
  if (*formatted == *text)
    return true;
  if (check) {
    errors << path << ": not formatted; run: orielc fmt " << path << "\n";
    return false;
  }
  absl::Status written = runtime::writeFileAtomically(path, *formatted);
  if (!written.ok())
    errors << "orielc fmt: " << std::string(written.message()) << "\n";
  return written.ok();
}

int formatFiles(const std::vector<std::string> &files, bool check, llvm::raw_ostream &errors) {
  bool good = true;
  for (const std::string &path : files)
    good &= formatFile(path, check, errors);
  return good ? 0 : 1;
}

} // namespace oriel::driver
