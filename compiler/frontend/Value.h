// What an expression of the language evaluates to, and where names get their values from.
#ifndef ORIEL_COMPILER_FRONTEND_VALUE_H
#define ORIEL_COMPILER_FRONTEND_VALUE_H

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Source.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace oriel::frontend {

struct Scope;

/// A word that stands for itself: silu, full, tied.
struct Word {
  std::string_view text;
};

/// Stages given as an argument, together with the scope their own arguments are evaluated in: the place where they are
/// written, not the place where they are used.
struct StagesValue {
  const ast::Pipeline *stages = nullptr; ///< Null for a bare name of a layer or block: then `name` is set.
  ast::Name name;
  std::shared_ptr<Scope> scope;
};

/// Monostate: unknown because of an error that was reported already; whatever is made of it is unknown too.
using Value = std::variant<std::monostate, int64_t, double, bool, Word, StagesValue>;

inline bool isUnknown(const Value &value) { return std::holds_alternative<std::monostate>(value); }

/// How messages show a value: "128", "0.5", "true", "silu", "a layer".
std::string toText(const Value &value);
/// The shortest decimal that reads back as `number`.
std::string toText(double number);

struct Binding {
  Value value;
  SourceRange definition;
  bool isUsed = false;
};

/// Names and values; a block's arguments and locals in front of the model's definitions.
struct Scope {
  std::shared_ptr<Scope> parent;
  /// Blocks are numbered in the order of the file; those below this number can be used here.
  size_t visibleBlocks = 0;
  std::map<std::string_view, Binding> bindings;

  /// The nearest binding, or null. Does not count as a use.
  Binding *find(std::string_view name) {
    for (Scope *scope = this; scope; scope = scope->parent.get())
      if (auto it = scope->bindings.find(name); it != scope->bindings.end())
        return &it->second;
    return nullptr;
  }
  bool has(std::string_view name) const { return const_cast<Scope *>(this)->find(name) != nullptr; }
};

} // namespace oriel::frontend

#endif
