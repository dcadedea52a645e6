// A table of figures that is committed beside the tests, so that a change shows as a diff: a head, and a line for each
// name. ORIEL_UPDATE_KERNEL_TABLE=1 in the environment writes it anew instead of comparing.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_COMMITTEDTABLE_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_COMMITTEDTABLE_H

#include <map>
#include <string>

namespace oriel::testing {

class CommittedTable {
public:
  using Lines = std::map<std::string, std::string>;

  /// `file` in the folder of the tests; a file that is not there has no lines.
  explicit CommittedTable(const std::string &file);

  const std::string &head() const { return head_; }
  static bool isUpdate();

  /// Each name whose line is another one is a failure, and so is one that is gone, of the names that start with
  /// `prefix`. Or the file gets these lines in place of the ones of that prefix, and the head.
  void expect(const std::string &head, const Lines &lines, const std::string &prefix = "");

private:
  std::string path_, head_;
  Lines lines_;
};

} // namespace oriel::testing

#endif
