// The tree of a model file, as written: nothing is resolved. Names and texts are views into the SourceFile. Every node
// has the range of everything it spans. Trees are at most kMaxNesting deep, so walking them recursively is safe.
#ifndef ORIEL_COMPILER_FRONTEND_AST_H
#define ORIEL_COMPILER_FRONTEND_AST_H

#include "compiler/frontend/Source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace oriel::frontend::ast {

/// Braces, parentheses and operators inside one another.
inline constexpr int kMaxNesting = 100;

struct Name {
  std::string_view text;
  SourceRange range;
};

struct Stage;
struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
/// Stages one after another.
using Pipeline = std::vector<Stage>;

enum class ExprKind { Invalid, Integer, Number, Name, Negate, Binary, Stages };

/// A number, a name, arithmetic, or (as an argument) stages: `layer(rms_norm | attention(4))`.
struct Expr {
  ExprKind kind = ExprKind::Invalid; ///< Invalid: an error was reported here; says nothing more.
  SourceRange range;
  int height = 1;        ///< Of the tree below, itself included.
  int64_t integer = 0;   ///< Integer
  double number = 0;     ///< Number
  std::string_view name; ///< Name
  char op = 0;           ///< Binary: one of + - * / %
  ExprPtr lhs, rhs;      ///< Binary; Negate has only lhs
  Pipeline stages;       ///< Stages
};

/// `window = 128`, `tied`, `3 * d`
struct Argument {
  std::optional<Name> name;
  ExprPtr value;
  SourceRange range;
};

enum class StageKind { Use, Repeat, Residual };

/// `name(arguments)`, `repeat count { body }` or `residual { body }`.
struct Stage {
  StageKind kind = StageKind::Use;
  SourceRange range;
  Name name;                       ///< Use: the layer or block; otherwise the keyword.
  bool hasParentheses = false;     ///< Use
  bool isBroken = false;           ///< Use: a syntax error cut the arguments short.
  std::vector<Argument> arguments; ///< Use
  ExprPtr count;                   ///< Repeat
  Pipeline body;                   ///< Repeat, Residual
};

/// `name = value`; as a block's parameter the value is the default and may be absent.
struct Definition {
  Name name;
  ExprPtr value;
};

struct Block {
  Name name;
  std::vector<Definition> parameters;
  std::vector<Definition> locals;
  Pipeline body;
  SourceRange range;
};

/// Definitions and blocks in the order of the file: each may use the names above it.
struct Model {
  Name name;
  struct Item {
    std::optional<Definition> definition;
    std::optional<Block> block;
  };
  std::vector<Item> items;
  Pipeline body;
  SourceRange range;
};

} // namespace oriel::frontend::ast

#endif
