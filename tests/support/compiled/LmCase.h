// A function of lm ops written in a test together with its arguments, run as `oriel verify` runs a golden case: orielc,
// package, executor, CPU.
//
//   LmCase c;
//   auto x = c.input("x", {2, 5, 8}), w = c.input("w", {8});
//   c.result("y", c.op("lm.scale_channels", {x, w}).result({2, 5, 8}));
//   auto values = runCompiled(c, orielc);          // of y, dx, dw
#ifndef ORIEL_TESTS_SUPPORT_COMPILED_LMCASE_H
#define ORIEL_TESTS_SUPPORT_COMPILED_LMCASE_H

#include "trainer/verify/GoldenReader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::testing {

class LmCase {
public:
  using Value = trainer::LmValue;
  using Shape = trainer::Shape;
  using Tensor = trainer::GoldenTensor;

  /// A float argument: normal values times `scale`. Its gradient is asked for.
  Value input(const std::string &name, const Shape &shape, double scale = 1);
  /// The same, values above zero.
  Value positive(const std::string &name, const Shape &shape);
  /// An argument with given values, without gradient.
  Value given(Tensor tensor);
  /// doc_start [B,T]: row b holds documents of the lengths rows[b], which add up to T.
  Value documents(const std::vector<std::vector<int64_t>> &rows);
  /// i32 values of first … last.
  Value integers(const std::string &name, const Shape &shape, int64_t first, int64_t last);

  trainer::LmFunction::OpText op(const std::string &mnemonic, std::vector<Value> operands) {
    return function_.op(mnemonic, std::move(operands));
  }

  /// A result; with a cotangent of normal values unless it is said to have none.
  void result(const std::string &name, const Value &value, bool hasCotangent = true);

  /// tape.schedule lines, for the paths vjp.<op>; empty: the compiler chooses.
  std::string schedule;

  /// The module with lm.vjp.
  std::string text() const { return function_.finish(results_, wrt_, hasCotangent_); }
  /// The arguments of the function, then the cotangents. Values are floats on both sides of a comparison.
  std::vector<Tensor> arguments() const;
  /// An argument or cotangent ("do" for the result "o") by name, to be looked at or replaced.
  Tensor &argument(const std::string &name);
  size_t resultCount() const { return results_.size(); }
  /// Names of the results, then of the gradients: "o", "dq".
  std::vector<std::string> outputNames() const;

private:
  Tensor random(const std::string &name, const Shape &shape, double scale);

  trainer::LmFunction function_;
  std::vector<Tensor> arguments_, cotangents_;
  std::vector<Value> results_;
  std::vector<std::string> resultNames_, gradientNames_;
  std::vector<int> wrt_;
  std::vector<bool> hasCotangent_;
};

/// Lengths that repeat `pattern`, the last one cut, so that they add up to `tokens`.
std::vector<int64_t> fillRow(int64_t tokens, const std::vector<int64_t> &pattern);

/// The results, then the gradients. Empty after a failure, which is reported to GoogleTest. `compiler` is the path of
/// orielc.
std::vector<std::vector<float>> runCompiled(const LmCase &c, const std::string &compiler);

} // namespace oriel::testing

#endif
