// A table that is printed as text for terminals and as HTML; and how numbers are written in it.
#ifndef ORIEL_COMPILER_TUNE_TABLE_H
#define ORIEL_COMPILER_TUNE_TABLE_H

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace oriel::tune {

struct Cell {
  std::string text;
  double share = -1; // 0 … 1: drawn as a bar in front of the text
  Cell(std::string text = "", double share = -1) : text(std::move(text)), share(share) {}
  Cell(const char *text) : text(text) {}
};

struct Column {
  std::string title;
  bool isText = false;   // left-aligned; else a number
  size_t mostWidth = 64; // of the text form, in which longer cells end in "…"
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// Columns as wide as their cells, two blanks apart, under a line. Trailing blanks are left out.
std::string printText(const Table &table);
std::string printHtml(const Table &table);

/// Characters of UTF-8 text.
size_t widthOf(const std::string &text);
std::string repeated(const std::string &text, size_t times);
std::string escapeHtml(const std::string &text);

/// "12.3 ms", "456 us", "3.21 s": three digits.
std::string formatSeconds(double seconds);
/// "12.3", in MiB.
std::string formatMib(int64_t bytes);
/// "12.3 %"
std::string formatPercent(double share);

/// Layer paths as people wrote them, those that differ in a number together: {"layers.0.mlp", "layers.1.mlp",
/// "layers.3.mlp", "loss"} is "layers.{0-1,3}.mlp, loss".
std::string formatLayers(const std::set<std::string> &layers);

} // namespace oriel::tune

#endif
