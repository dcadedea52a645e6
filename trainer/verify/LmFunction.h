// Writes one function in the text form of the lm dialect (dialects/lm/LmOps.td), without MLIR: what `oriel verify`
// hands to orielc. It only spells; whether ops and shapes fit together is judged by the compiler's verifiers.
#ifndef ORIEL_TRAINER_VERIFY_LMFUNCTION_H
#define ORIEL_TRAINER_VERIFY_LMFUNCTION_H

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::trainer {

using Shape = std::vector<int64_t>;

/// An SSA value: its name with '%', and its type.
struct LmValue {
  std::string name;
  Shape shape;
  bool isInteger = false; // i32, else f32

  std::string type() const;
};

class LmFunction {
public:
  LmValue addArgument(Shape shape, bool isInteger = false);

  /// An op with positional operands; `attributes` is what stands between the braces.
  class OpText {
  public:
    OpText(LmFunction &function, const std::string &mnemonic, std::vector<LmValue> operands);
    /// Optional operands in a keyed group: ` key(%a, %b)`. Does nothing for an empty list.
    OpText &group(const std::string &key, const std::vector<LmValue> &operands);
    OpText &attribute(const std::string &name, const std::string &value);
    OpText &integer(const std::string &name, int64_t value);
    OpText &real(const std::string &name, double value);
    /// Ends the op; the values are its f32 results.
    std::vector<LmValue> results(const std::vector<Shape> &shapes);
    LmValue result(const Shape &shape) { return results({shape}).front(); }

  private:
    LmFunction &function_;
    std::string head_, attributes_;
    std::vector<LmValue> operands_;
  };

  OpText op(const std::string &mnemonic, std::vector<LmValue> operands) {
    return {*this, mnemonic, std::move(operands)};
  }

  /// The module text: `func.func @f` with lm.vjp, so that the compiled entry `vjp` takes the arguments and then one
  /// cotangent per true flag, and returns `results` and the gradients of the arguments `wrt`.
  std::string finish(const std::vector<LmValue> &results, const std::vector<int> &wrt,
                     const std::vector<bool> &cotangents) const;

private:
  std::vector<LmValue> arguments_;
  std::string body_;
  int nextValue_ = 0;
};

} // namespace oriel::trainer

#endif
