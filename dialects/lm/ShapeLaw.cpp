// Implementation of the shape laws: pattern matching of letters against static shapes.
#include "dialects/lm/ShapeLaw.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace oriel::lm {
namespace {

constexpr llvm::StringLiteral kLeading = "...";

/// "2D" → factor 2, letter "D"; "1" → factor 1, letter "".
std::pair<int64_t, StringRef> splitFactor(StringRef term) {
  StringRef digits = term.take_while(llvm::isDigit);
  int64_t factor = 1;
  if (!digits.empty())
    (void)digits.getAsInteger(10, factor);
  return {factor, term.drop_front(digits.size())};
}

std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  llvm::interleave(shape, os, ",");
  os << "]";
  return text;
}

} // namespace

InFlightDiagnostic ShapeLaw::emitError() const { return op_->emitOpError() << "(" << law_ << ") "; }

bool ShapeLaw::matches(ArrayRef<int64_t> shape, ArrayRef<StringRef> letters) {
  if (letters.front() == kLeading) {
    letters = letters.drop_front();
    if (shape.size() < letters.size())
      return false;
    ArrayRef<int64_t> leading = shape.drop_back(letters.size());
    if (leadingBound_ && leading != ArrayRef<int64_t>(leading_))
      return false;
    leading_.assign(leading.begin(), leading.end());
    leadingBound_ = true;
    shape = shape.take_back(letters.size());
  }
  if (shape.size() != letters.size())
    return false;
  for (auto [size, term] : llvm::zip_equal(shape, letters)) {
    auto [factor, letter] = splitFactor(term);
    if (size % factor != 0 || (letter.empty() && size != factor))
      return false;
    if (!letter.empty() && sizes_.try_emplace(letter, size / factor).first->second * factor != size)
      return false;
  }
  return true;
}

std::string ShapeLaw::expected(ArrayRef<StringRef> letters) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[" << llvm::join(letters, ",") << "] = [";
  llvm::interleave(
      letters, os,
      [&](StringRef term) {
        auto [factor, letter] = splitFactor(term);
        auto bound = sizes_.find(letter);
        if (term == kLeading && leadingBound_)
          llvm::interleave(leading_, os, ",");
        else if (letter.empty())
          os << factor;
        else if (bound != sizes_.end())
          os << bound->second * factor;
        else
          os << (term == kLeading ? "..." : "?");
      },
      ",");
  os << "]";
  return text;
}

LogicalResult ShapeLaw::match(StringRef name, Value value, StringRef pattern) {
  if (!value)
    return success();
  SmallVector<StringRef> letters;
  pattern.split(letters, ' ');
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
  // What the message expects must not contain what this very tensor would bind.
  ShapeLaw before = *this;
  if (matches(shape, letters))
    return success();
  return emitError() << "'" << name << "' must be " << before.expected(letters) << " but is " << shapeText(shape);
}

LogicalResult ShapeLaw::sameType(StringRef name, Value value, StringRef likeName, Value like) {
  if (!value || value.getType() == like.getType())
    return success();
  return emitError() << "'" << name << "' must have the type of '" << likeName << "', " << like.getType() << ", but is "
                     << value.getType();
}

LogicalResult verifyGroups(Operation *op, StringRef law, int64_t heads, int64_t kvHeads) {
  if (kvHeads > 0 && heads % kvHeads == 0)
    return success();
  return op->emitOpError() << "(" << law << ") has " << heads << " query heads, not a multiple of its " << kvHeads
                           << " key/value heads";
}

LogicalResult verifyWindow(Operation *op, StringRef law, int64_t window, double softCap) {
  if (window < -1)
    return op->emitOpError() << "(" << law << ") has window = " << window << ", which must be at least -1";
  if (!(softCap >= 0))
    return op->emitOpError() << "(" << law << ") has soft_cap = " << softCap << ", which must not be negative";
  return success();
}

} // namespace oriel::lm
