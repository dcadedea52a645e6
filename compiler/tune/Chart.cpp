#include "compiler/tune/Chart.h"
#include "compiler/tune/Table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace oriel::tune {
namespace {

constexpr double width = 880, height = 300, left = 64, right = 16, top = 36, bottom = 44;

struct Range {
  double low = INFINITY, high = -INFINITY;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// One value alone is in the middle.
  void widen() {
    if (low > high)
      *this = {0, 1};
    else if (low == high)
      *this = {low - std::max(std::abs(low), 1.0) / 2, high + std::max(std::abs(high), 1.0) / 2};
  }
  double share(double value) const { return (value - low) / (high - low); }
};

/// A round number near a fifth of the range.
double tickStep(const Range &range) {
  double rough = (range.high - range.low) / 5;
  double magnitude = std::pow(10, std::floor(std::log10(rough)));
  for (double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * magnitude)
      return factor * magnitude;
  return 10 * magnitude;
}

/// From data to the drawing.
struct Axes {
  Range xs, ys;
  double x(double value) const { return left + xs.share(value) * (width - left - right); }
  double y(double value) const { return height - bottom - ys.share(value) * (height - top - bottom); }
};

Axes axesOf(const Chart &chart) {
  Axes axes;
  for (const Line &line : chart.lines)
    for (auto [x, y] : line.points) {
      axes.xs.add(x);
      axes.ys.add(y);
    }
  if (chart.fromZero)
    axes.ys.add(0);
  axes.xs.widen();
  axes.ys.widen();
  double step = tickStep(axes.ys);
  axes.ys = {std::floor(axes.ys.low / step) * step, std::ceil(axes.ys.high / step) * step};
  return axes;
}

std::string drawTicks(const Axes &axes) {
  std::string svg;
  double yStep = tickStep(axes.ys), xStep = tickStep(axes.xs);
  for (double y = axes.ys.low; y <= axes.ys.high + 1e-9 * yStep; y += yStep)
    svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
                       "text-anchor=\"end\">{:.6g}</text>\n",
                       left, axes.y(y), width - right, left - 6, axes.y(y) + 4, y);
  for (double x = std::ceil(axes.xs.low / xStep) * xStep; x <= axes.xs.high + 1e-9 * xStep; x += xStep)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.6g}</text>\n", axes.x(x),
                       height - bottom + 16, x);
  return svg;
}

std::string drawLine(const Axes &axes, const Line &line, size_t number) {
  std::string points, marks;
  for (auto [x, y] : line.points) {
    points += fmt::format("{:.1f},{:.1f} ", axes.x(x), axes.y(y));
    if (line.style == Line::Points)
      marks += fmt::format(
          "<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}: {:.6g}, {:.6g}</title></circle>\n",
          number, axes.x(x), axes.y(y), escapeHtml(line.name), x, y);
  }
  std::string svg;
  if (line.style == Line::Area && !line.points.empty())
    svg = fmt::format("<polygon class=\"c{}\" points=\"{:.1f},{:.1f} {}{:.1f},{:.1f}\"/>\n", number,
                      axes.x(line.points.front().first), height - bottom, points, axes.x(line.points.back().first),
                      height - bottom);
  return svg + fmt::format("<polyline class=\"c{}\" points=\"{}\"/>\n{}", number, points, marks);
}

constexpr const char *style = R"(
:root { color-scheme: light dark; --ink: #1d2329; --paper: #fff; --faint: #dde1e5; --c0: #1f6feb; --c1: #d1495b; --c2: #2e7d32; --c3: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --paper: #16191c; --faint: #383e44; --c0: #6ea8fe; --c1: #f0878f; --c2: #7cc47f; --c3: #b794f6; } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg.chart { width: 100%; max-width: 880px; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg text.title { font-size: 14px; font-weight: 600; }
.grid { stroke: var(--faint); } polyline { fill: none; stroke-width: 1.8; } polygon { opacity: 0.22; }
polyline.c0 { stroke: var(--c0); } polyline.c1 { stroke: var(--c1); } polyline.c2 { stroke: var(--c2); } polyline.c3 { stroke: var(--c3); }
polygon.c0, circle.c0, text.c0 { fill: var(--c0); } polygon.c1, circle.c1, text.c1 { fill: var(--c1); } polygon.c2, circle.c2, text.c2 { fill: var(--c2); } polygon.c3, circle.c3, text.c3 { fill: var(--c3); }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; } td, th { padding: 2px 10px; border-bottom: 1px solid var(--faint); text-align: right; white-space: nowrap; }
th { font-weight: 600; } td.text, th.text { text-align: left; } td.text:first-child { font-family: ui-monospace, monospace; white-space: normal; }
svg.bar { width: 80px; height: 10px; background: var(--faint); vertical-align: baseline; } svg.bar rect { fill: var(--c0); }
.wide { overflow-x: auto; } pre { white-space: pre-wrap; }
)";

} // namespace

std::string drawSvg(const Chart &chart) {
  Axes axes = axesOf(chart);
  std::string svg = fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n"
                                "<text class=\"title\" x=\"{}\" y=\"20\">{}</text>\n",
                                width, height, escapeHtml(chart.title), left, escapeHtml(chart.title));
  svg += drawTicks(axes);
  for (size_t i = 0; i < chart.lines.size(); ++i) {
    svg += drawLine(axes, chart.lines[i], i % 4);
    if (chart.lines.size() > 1)
      svg += fmt::format("<text class=\"c{}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", i % 4, width - right,
                         top + 14 + 15 * i, escapeHtml(chart.lines[i].name));
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (left + width - right) / 2,
                     height - 8, escapeHtml(chart.xLabel));
  return svg +
         fmt::format("<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n</svg>\n",
                     (height + top - bottom) / 2, escapeHtml(chart.yLabel));
}

std::string drawText(const Chart &chart, size_t columns, size_t rows) {
  static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (chart.lines.empty() || chart.lines[0].points.empty())
    return "";
  const auto &points = chart.lines[0].points;
  columns = std::min(columns, points.size());
  double most = 0;
  std::vector<double> heights;
  for (size_t c = 0; c < columns; ++c) {
    double highest = 0;
    for (size_t i = c * points.size() / columns; i < (c + 1) * points.size() / columns; ++i)
      highest = std::max(highest, points[i].second);
    heights.push_back(highest);
    most = std::max(most, highest);
  }
  std::string out = fmt::format("{:>9}\n", chart.yLabel);
  for (size_t row = rows; row-- > 0;) {
    bool labelled = row + 1 == rows || row + 1 == (rows + 1) / 2;
    std::string line = labelled
                           ? fmt::format("{:>9.1f} ┤", most * static_cast<double>(row + 1) / static_cast<double>(rows))
                           : std::string(10, ' ') + "│";
    for (double height : heights) {
      double eighths = most > 0 ? height / most * static_cast<double>(8 * rows) - 8.0 * static_cast<double>(row) : 0;
      line += blocks[static_cast<size_t>(std::clamp(std::lround(eighths), 0L, 8L))];
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out + fmt::format("{:>9} └{}\n{:>11}{}\n", 0, repeated("─", columns), "", chart.xLabel);
}

std::string page(const std::string &title, const std::string &body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n<meta "
      "name=\"viewport\" content=\"width=device-width\"><style>{1}</style></head>\n<body>\n<h1>{0}</h1>\n"
      "{2}</body></html>\n",
      escapeHtml(title), style, body);
}

} // namespace oriel::tune
