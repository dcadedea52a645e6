// Evaluates expressions: checked 64-bit integers, finite doubles, words, and stages (which are only captured here).
#ifndef ORIEL_COMPILER_FRONTEND_EVALUATOR_H
#define ORIEL_COMPILER_FRONTEND_EVALUATOR_H

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Diagnostics.h"
#include "compiler/frontend/Value.h"

#include <memory>
#include <string_view>
#include <vector>

namespace oriel::frontend {

/// The blocks of a model in the order of the file; a scope sees the first `visibleBlocks` of them.
class BlockTable {
public:
  /// False when the name is taken.
  bool add(const ast::Block &block);
  size_t size() const { return blocks_.size(); }
  /// The number of the block of that name, visible or not; size() when there is none.
  size_t find(std::string_view name) const;
  const ast::Block &operator[](size_t number) const { return *blocks_[number]; }

private:
  std::vector<const ast::Block *> blocks_;
};

/// An error gives the unknown value. Integers stay integers; `/` of two integers is an integer when it comes out even.
Value evaluate(const ast::Expr &expr, const std::shared_ptr<Scope> &scope, const BlockTable &blocks,
               Diagnostics &diagnostics);

/// Reads "128", "-1", "0.02", "silu", "true"; unknown when it is none of these.
Value parseLiteral(std::string_view text);

/// Everything that a name could have meant in `scope`: for did-you-mean.
std::vector<std::string_view> visibleNames(const Scope &scope);

} // namespace oriel::frontend

#endif
