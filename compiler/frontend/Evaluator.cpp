// Expressions of the model language. See Evaluator.h.
#include "compiler/frontend/Evaluator.h"

#include "compiler/frontend/Layers.h"
#include "compiler/frontend/Suggest.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace oriel::frontend {

bool BlockTable::add(const ast::Block &block) {
  if (find(block.name.text) != size())
    return false;
  blocks_.push_back(&block);
  return true;
}

size_t BlockTable::find(std::string_view name) const {
  size_t number = 0;
  while (number < blocks_.size() && blocks_[number]->name.text != name)
    ++number;
  return number;
}

std::string toText(double number) {
  char buffer[64];
  auto result = std::to_chars(buffer, buffer + sizeof(buffer), number);
  return std::string(buffer, result.ptr);
}

std::string toText(const Value &value) {
  struct Visitor {
    std::string operator()(std::monostate) const { return "?"; }
    std::string operator()(int64_t integer) const { return std::to_string(integer); }
    std::string operator()(double number) const { return toText(number); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(const Word &word) const { return std::string(word.text); }
    std::string operator()(const StagesValue &) const { return "a layer"; }
  };
  return std::visit(Visitor(), value);
}

std::vector<std::string_view> visibleNames(const Scope &scope) {
  std::vector<std::string_view> names;
  for (const Scope *s = &scope; s; s = s->parent.get())
    for (const auto &[name, binding] : s->bindings)
      names.push_back(name);
  return names;
}

Value parseLiteral(std::string_view text) {
  if (text == "true" || text == "false")
    return text == "true";
  if (isWord(text)) {
    for (const LayerSpec &layer : layerSpecs()) // Views must outlive `text`: take the table's own.
      for (const OptionSpec &option : layer.options)
        for (std::string_view word : option.words)
          if (word == text)
            return Word{word};
  }
  const char *begin = text.data(), *end = begin + text.size();
  int64_t integer = 0;
  if (auto result = std::from_chars(begin, end, integer); result.ec == std::errc() && result.ptr == end)
    return integer;
  double number = 0;
  if (auto result = std::from_chars(begin, end, number);
      result.ec == std::errc() && result.ptr == end && std::isfinite(number))
    return number;
  return {};
}

namespace {

class Evaluator {
public:
  Evaluator(const std::shared_ptr<Scope> &scope, const BlockTable &blocks, Diagnostics &diagnostics)
      : scope_(scope), blocks_(blocks), diagnostics_(diagnostics) {}

  Value evaluate(const ast::Expr &expr) {
    switch (expr.kind) {
    case ast::ExprKind::Invalid:
      return {};
    case ast::ExprKind::Integer:
      return expr.integer;
    case ast::ExprKind::Number:
      return expr.number;
    case ast::ExprKind::Name:
      return resolve({expr.name, expr.range});
    case ast::ExprKind::Negate:
      return negate(expr);
    case ast::ExprKind::Binary:
      return binary(expr);
    case ast::ExprKind::Stages:
      return StagesValue{&expr.stages, {}, scope_};
    }
    return {};
  }

private:
  Value resolve(ast::Name name) {
    if (Binding *binding = scope_->find(name.text)) {
      binding->isUsed = true;
      return binding->value;
    }
    if (name.text == "true" || name.text == "false")
      return name.text == "true";
    if (isWord(name.text))
      return Word{name.text};
    size_t block = blocks_.find(name.text);
    if (findLayer(name.text) || block < scope_->visibleBlocks)
      return StagesValue{nullptr, name, scope_};
    if (block < blocks_.size()) {
      diagnostics_.error(name.range, "block " + quoted(name.text) + " is defined further down",
                         "move the block above its first use");
      return {};
    }
    std::vector<std::string_view> candidates = visibleNames(*scope_);
    for (const LayerSpec &layer : layerSpecs()) {
      candidates.push_back(layer.name);
      for (const OptionSpec &option : layer.options)
        candidates.insert(candidates.end(), option.words.begin(), option.words.end());
    }
    for (size_t i = 0; i < scope_->visibleBlocks; ++i)
      candidates.push_back(blocks_[i].name.text);
    std::string suggestion = didYouMean(name.text, candidates);
    diagnostics_.error(name.range, "unknown name " + quoted(name.text) + suggestion,
                       suggestion.empty() ? "define it above: " + std::string(name.text) + " = …" : "");
    return {};
  }

  /// An integer or a double; anything else is reported and becomes unknown.
  Value operand(const ast::Expr &expr) {
    Value value = evaluate(expr);
    if (isUnknown(value) || std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value))
      return value;
    diagnostics_.error(expr.range,
                       "arithmetic needs numbers, but this is " +
                           (std::holds_alternative<StagesValue>(value) ? toText(value) : quoted(toText(value))));
    return {};
  }

  Value negate(const ast::Expr &expr) {
    Value value = operand(*expr.lhs);
    if (auto *number = std::get_if<double>(&value))
      return -*number;
    if (auto *integer = std::get_if<int64_t>(&value)) {
      if (*integer == std::numeric_limits<int64_t>::min())
        return overflow(expr);
      return -*integer;
    }
    return {};
  }

  Value binary(const ast::Expr &expr) {
    Value lhs = operand(*expr.lhs), rhs = operand(*expr.rhs);
    if (isUnknown(lhs) || isUnknown(rhs))
      return {};
    if (std::holds_alternative<int64_t>(lhs) && std::holds_alternative<int64_t>(rhs))
      return integers(expr, std::get<int64_t>(lhs), std::get<int64_t>(rhs));
    return numbers(expr, asDouble(lhs), asDouble(rhs));
  }

  static double asDouble(const Value &value) {
    auto *integer = std::get_if<int64_t>(&value);
    return integer ? static_cast<double>(*integer) : std::get<double>(value);
  }

  Value overflow(const ast::Expr &expr) {
    diagnostics_.error(expr.range, "this number is too large to represent");
    return {};
  }

  Value divisionByZero(const ast::Expr &expr) {
    diagnostics_.error(expr.rhs->range, "division by zero");
    return {};
  }

  Value integers(const ast::Expr &expr, int64_t a, int64_t b) {
    int64_t result = 0;
    switch (expr.op) {
    case '+':
      return __builtin_add_overflow(a, b, &result) ? overflow(expr) : Value(result);
    case '-':
      return __builtin_sub_overflow(a, b, &result) ? overflow(expr) : Value(result);
    case '*':
      return __builtin_mul_overflow(a, b, &result) ? overflow(expr) : Value(result);
    default:
      break;
    }
    if (b == 0)
      return divisionByZero(expr);
    if (a == std::numeric_limits<int64_t>::min() && b == -1)
      return overflow(expr);
    if (expr.op == '%')
      return a % b;
    return a % b == 0 ? Value(a / b) : Value(static_cast<double>(a) / static_cast<double>(b));
  }

  Value numbers(const ast::Expr &expr, double a, double b) {
    if ((expr.op == '/' || expr.op == '%') && b == 0)
      return divisionByZero(expr);
    double result = expr.op == '+'   ? a + b
                    : expr.op == '-' ? a - b
                    : expr.op == '*' ? a * b
                    : expr.op == '/' ? a / b
                                     : std::fmod(a, b);
    return std::isfinite(result) ? Value(result) : overflow(expr);
  }

  const std::shared_ptr<Scope> &scope_;
  const BlockTable &blocks_;
  Diagnostics &diagnostics_;
};

} // namespace

Value evaluate(const ast::Expr &expr, const std::shared_ptr<Scope> &scope, const BlockTable &blocks,
               Diagnostics &diagnostics) {
  return Evaluator(scope, blocks, diagnostics).evaluate(expr);
}

} // namespace oriel::frontend
