// Arguments to options. See Arguments.h.
#include "compiler/frontend/Arguments.h"

#include "compiler/frontend/LayerChecks.h"
#include "compiler/frontend/Suggest.h"

#include <cmath>
#include <map>
#include <string>

namespace oriel::frontend {
namespace {

// ---------------------------------------------------------------------------------------------------------------------
// Handing out arguments
// ---------------------------------------------------------------------------------------------------------------------

/// "a whole number from 1 to 16384", "a number from 1e-30 to 1e+30 or 'none'", "'silu' or 'gelu'"
std::string expectation(const OptionSpec &option) {
  std::string text;
  if (option.type == OptionType::Switch)
    return "true or false";
  if (option.type == OptionType::Integer)
    text = "a whole number from " + toText(Value(int64_t(option.least))) + " to " + toText(Value(int64_t(option.most)));
  else if (option.type == OptionType::Number)
    text = "a number from " + toText(Value(option.least)) + " to " + toText(Value(option.most));
  if (option.words.empty())
    return text;
  return text + (text.empty() ? "" : " or ") + listOf(option.words);
}

/// A bare word that nothing in scope defines, where the option takes words: "did you mean 'silu'?".
bool misspeltWord(const OptionSpec &option, const ast::Argument &argument, const Scope &scope,
                  Diagnostics &diagnostics) {
  const ast::Expr &value = *argument.value;
  if (value.kind != ast::ExprKind::Name || option.words.empty() || scope.has(value.name) || isWord(value.name) ||
      findLayer(value.name))
    return false;
  std::string suggestion = didYouMean(value.name, option.words);
  if (suggestion.empty() && !nearest(value.name, visibleNames(scope)).empty())
    return false;
  diagnostics.error(value.range, quoted(option.name) + " cannot be " + quoted(value.name) + suggestion,
                    suggestion.empty() ? "it takes " + expectation(option) : "");
  return true;
}

class Binder {
public:
  Binder(const ast::Stage &use, const std::vector<Formal> &formals, const std::shared_ptr<Scope> &scope,
         const BlockTable &blocks, Diagnostics &diagnostics)
      : use_(use), formals_(formals), scope_(scope), blocks_(blocks), diagnostics_(diagnostics) {
    bound_.actuals.resize(formals.size());
  }

  Bound run() {
    std::vector<const ast::Argument *> positional;
    for (const ast::Argument &argument : use_.arguments) {
      if (argument.name)
        bindNamed(argument, *argument.name);
      else if (!bindBareName(argument))
        positional.push_back(&argument);
    }
    for (const ast::Argument *argument : positional)
      if (!bindPositional(*argument))
        break; // One complaint is enough.
    return std::move(bound_);
  }

private:
  size_t find(std::string_view name) const {
    size_t i = 0;
    while (i < formals_.size() && formals_[i].name != name)
      ++i;
    return i;
  }

  void set(size_t i, const ast::Argument &argument, Value value) {
    if (bound_.actuals[i]) {
      diagnostics_.error(argument.range, quoted(formals_[i].name) + " is given twice", "keep one of the two",
                         {{bound_.actuals[i]->range, "it was given here"}});
      return;
    }
    bound_.actuals[i] = Actual{std::move(value), argument.value->range};
  }

  void bindNamed(const ast::Argument &argument, const ast::Name &name) {
    size_t i = find(name.text);
    if (i == formals_.size()) {
      unknownOption(name);
      evaluate(*argument.value, scope_, blocks_, diagnostics_); // For its own errors.
      return;
    }
    const OptionSpec *option = formals_[i].option;
    if (option && misspeltWord(*option, argument, *scope_, diagnostics_))
      set(i, argument, Value());
    else
      set(i, argument, evaluate(*argument.value, scope_, blocks_, diagnostics_));
  }

  bool bindBareName(const ast::Argument &argument) {
    if (argument.value->kind != ast::ExprKind::Name)
      return false;
    size_t i = find(argument.value->name);
    if (i == formals_.size())
      return false;
    bool isInScope = scope_->has(argument.value->name);
    bool isSwitch = formals_[i].option && formals_[i].option->type == OptionType::Switch;
    if (!isInScope && !isSwitch)
      return false;
    set(i, argument, isInScope ? evaluate(*argument.value, scope_, blocks_, diagnostics_) : Value(true));
    return true;
  }

  /// False, with an error, when no place is left.
  bool bindPositional(const ast::Argument &argument) {
    if (isMisspeltSwitch(*argument.value)) {
      if (find(argument.value->name) < formals_.size())
        undefinedName({argument.value->name, argument.value->range});
      else
        unknownOption({argument.value->name, argument.value->range});
      return true;
    }
    size_t i = 0;
    while (i < formals_.size() && (!formals_[i].takesPosition || bound_.actuals[i]))
      ++i;
    if (i == formals_.size()) {
      tooMany(argument);
      return false;
    }
    set(i, argument, evaluate(*argument.value, scope_, blocks_, diagnostics_));
    return true;
  }

  /// A bare name that means nothing here but looks like an option's.
  bool isMisspeltSwitch(const ast::Expr &value) const {
    if (value.kind != ast::ExprKind::Name || scope_->has(value.name) || isWord(value.name) || findLayer(value.name) ||
        blocks_.find(value.name) < blocks_.size())
      return false;
    return !nearest(value.name, formalNames()).empty();
  }

  std::vector<std::string_view> formalNames() const {
    std::vector<std::string_view> names;
    for (const Formal &formal : formals_)
      names.push_back(formal.name);
    return names;
  }

  void tooMany(const ast::Argument &argument) {
    bound_.hasStray = true;
    diagnostics_.error(argument.range, quoted(use_.name.text) + " takes no further value by position",
                       "name it: " +
                           (formals_.empty() ? "it has no options" : std::string(formals_.back().name) + " = …"));
  }

  void unknownOption(const ast::Name &name) {
    bound_.hasStray = true;
    std::vector<std::string_view> names = formalNames();
    std::string suggestion = didYouMean(name.text, names);
    std::string hint;
    if (suggestion.empty())
      hint = names.empty() ? quoted(use_.name.text) + " has no options" : "its options are " + listOf(names, "and");
    diagnostics_.error(name.range, quoted(use_.name.text) + " has no option " + quoted(name.text) + suggestion, hint);
  }

  /// An option's name alone, where no definition has that name.
  void undefinedName(const ast::Name &name) {
    bound_.hasStray = true;
    diagnostics_.error(name.range,
                       quoted(name.text) + " alone stands for a definition of that name, and there is none" +
                           didYouMean(name.text, visibleNames(*scope_)),
                       "write " + std::string(name.text) + " = …, here or above");
  }

  const ast::Stage &use_;
  const std::vector<Formal> &formals_;
  const std::shared_ptr<Scope> &scope_;
  const BlockTable &blocks_;
  Diagnostics &diagnostics_;
  Bound bound_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Values to options
// ---------------------------------------------------------------------------------------------------------------------

using OptionValue = std::variant<int64_t, double, bool, std::string_view>;

/// The value as the option's type; nothing when it does not fit.
std::optional<OptionValue> coerce(const OptionSpec &option, const Value &value) {
  if (auto *word = std::get_if<Word>(&value)) {
    for (std::string_view known : option.words)
      if (known == word->text)
        return known;
    return std::nullopt;
  }
  if (option.type == OptionType::Switch) {
    auto *flag = std::get_if<bool>(&value);
    return flag ? std::optional<OptionValue>(*flag) : std::nullopt;
  }
  auto *integer = std::get_if<int64_t>(&value);
  auto *number = std::get_if<double>(&value);
  if (option.type == OptionType::Word || (!integer && !number))
    return std::nullopt;
  double asNumber = integer ? static_cast<double>(*integer) : *number;
  if (!(asNumber >= option.least && asNumber <= option.most))
    return std::nullopt;
  if (option.type == OptionType::Number)
    return asNumber;
  if (asNumber != std::floor(asNumber))
    return std::nullopt;
  return static_cast<int64_t>(asNumber);
}

/// Reports a value that does not fit. A misspelt word gets a suggestion.
void misfit(const LayerSpec &spec, const OptionSpec &option, const Actual &actual, Diagnostics &diagnostics) {
  std::string message =
      quoted(option.name) + " of " + quoted(spec.name) + " takes " + expectation(option) + ", not " +
      (std::holds_alternative<StagesValue>(actual.value) ? toText(actual.value) : quoted(toText(actual.value)));
  diagnostics.error(actual.range, message);
}

class OptionResolver {
public:
  OptionResolver(const LayerSpec &spec, const ast::Stage &use, Diagnostics &diagnostics)
      : spec_(spec), use_(use), diagnostics_(diagnostics) {
    layer_.spec = &spec;
    layer_.range = use.range;
  }

  LayerUse run(const Bound &bound) {
    isComplete_ = !bound.hasStray;
    for (size_t i = 0; i < spec_.options.size(); ++i) {
      if (bound.actuals[i])
        given(spec_.options[i], *bound.actuals[i]);
      else
        missing(spec_.options[i], bound.hasStray);
    }
    if (isComplete_ && !checkLayer(layer_, ranges_, diagnostics_))
      isComplete_ = false;
    return isComplete_ ? std::move(layer_) : LayerUse{nullptr, use_.range, "", kUnnumbered, 0, {}};
  }

private:
  void given(const OptionSpec &option, const Actual &actual) {
    ranges_[option.name] = actual.range;
    if (std::optional<OptionValue> value = coerce(option, actual.value)) {
      layer_.options.emplace(option.name, *value);
      return;
    }
    isComplete_ = false;
    if (!isUnknown(actual.value))
      misfit(spec_, option, actual, diagnostics_);
  }

  void missing(const OptionSpec &option, bool isQuiet) {
    if (option.fallback == "auto")
      return;
    if (option.fallback.empty()) {
      isComplete_ = false;
      if (isQuiet)
        return;
      std::string hint = "write " + std::string(option.name) + " = …; it takes " + expectation(option);
      if (option.type == OptionType::Word)
        hint = "write " + listOf(option.words);
      diagnostics_.error(use_.name.range, quoted(spec_.name) + " needs " + quoted(option.name), hint);
      return;
    }
    if (option.fallback.front() == '=') {
      auto source = layer_.options.find(option.fallback.substr(1));
      if (source != layer_.options.end())
        layer_.options.emplace(option.name, source->second);
      return; // Without a source an error about the source exists already.
    }
    layer_.options.emplace(option.name, *coerce(option, parseLiteral(option.fallback)));
  }

  const LayerSpec &spec_;
  const ast::Stage &use_;
  Diagnostics &diagnostics_;
  LayerUse layer_;
  OptionRanges ranges_;
  bool isComplete_ = true;
};

} // namespace

Bound bindArguments(const ast::Stage &use, const std::vector<Formal> &formals, const std::shared_ptr<Scope> &scope,
                    const BlockTable &blocks, Diagnostics &diagnostics) {
  return Binder(use, formals, scope, blocks, diagnostics).run();
}

LayerUse resolveLayer(const LayerSpec &spec, const ast::Stage &use, const std::shared_ptr<Scope> &scope,
                      const BlockTable &blocks, Diagnostics &diagnostics) {
  std::vector<Formal> formals;
  for (const OptionSpec &option : spec.options)
    formals.push_back({option.name, formals.size() < spec.positional, &option});
  return OptionResolver(spec, use, diagnostics).run(bindArguments(use, formals, scope, blocks, diagnostics));
}

double LayerUse::numberOr(std::string_view name, double forWord) const {
  const double *number = std::get_if<double>(&options.at(name));
  return number ? *number : forWord;
}

int64_t LayerUse::integerOr(std::string_view name, int64_t forWord) const {
  const int64_t *integer = std::get_if<int64_t>(&options.at(name));
  return integer ? *integer : forWord;
}

} // namespace oriel::frontend
