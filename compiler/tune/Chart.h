// Drawings of a series over a numeric axis, as characters for terminals and as inline SVG; and the page around them.
#ifndef ORIEL_COMPILER_TUNE_CHART_H
#define ORIEL_COMPILER_TUNE_CHART_H

#include <string>
#include <utility>
#include <vector>

namespace oriel::tune {

struct Line {
  enum Style { Area, Points }; // filled to the axis; or a line with a mark at each point
  std::string name;
  std::vector<std::pair<double, double>> points; // by rising x
  Style style = Area;
};

struct Chart {
  std::string title, xLabel, yLabel;
  std::vector<Line> lines;
  bool fromZero = true; // the y axis begins at 0
};

/// One <svg> element. A line of one point is a mark.
std::string drawSvg(const Chart &chart);

/// The first line as an area of `columns` x `rows` characters with the y axis at its left; within a column the highest.
std::string drawText(const Chart &chart, size_t columns = 96, size_t rows = 10);

/// A page by itself in the reader's theme: no script, nothing fetched. `body` is HTML.
std::string page(const std::string &title, const std::string &body);

} // namespace oriel::tune

#endif
