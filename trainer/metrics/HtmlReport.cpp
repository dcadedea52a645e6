// The report page: a chart drawn as SVG, a table of facts, the sample, the job. Colours follow the reader's theme.
#include "trainer/metrics/HtmlReport.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <cmath>

namespace oriel::trainer {
namespace {

using Series = std::vector<std::pair<int64_t, double>>;

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
      out += "\uFFFD";
    else
      out += c;
  }
  return out;
}

/// Bytes that are not UTF-8 become U+FFFD: samples of a byte model may end inside a character.
std::string validUtf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const unsigned char lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80                   ? 1
                    : lead >= 0xC2 && lead < 0xE0 ? 2
                    : lead >= 0xE0 && lead < 0xF0 ? 3
                    : lead >= 0xF0 && lead < 0xF5 ? 4
                                                  : 0;
    bool good = length > 0 && i + length <= text.size();
    for (size_t k = 1; good && k < length; ++k)
      good = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (good)
      out += text.substr(i, length);
    else
      out += "\uFFFD";
    i += good ? length : 1;
  }
  return out;
}

/// Linear maps from data to the drawing, and the tick marks of both axes.
struct Chart {
  static constexpr double width = 880, height = 360, left = 56, right = 12, top = 12, bottom = 40;
  double stepMax = 1, lossMin = 0, lossMax = 1;

  double x(double step) const { return left + step / stepMax * (width - left - right); }
  double y(double loss) const {
    double clamped = std::clamp(loss, lossMin, lossMax);
    return top + (lossMax - clamped) / (lossMax - lossMin) * (height - top - bottom);
  }
};

/// 1, 2 or 5 times a power of ten, so that about `count` of it fill the range.
double tickStep(double range, int count) {
  double raw = range / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power)
      return factor * power;
  return 10 * power;
}

/// The loss axis ends at the 99th percentile: one early spike must not flatten the curve.
Chart layOut(const Series &train, const Series &validation) {
  Chart chart;
  std::vector<double> losses;
  for (const Series *series : {&train, &validation})
    for (auto [step, loss] : *series) {
      chart.stepMax = std::max(chart.stepMax, static_cast<double>(step));
      if (std::isfinite(loss))
        losses.push_back(loss);
    }
  if (losses.empty())
    return chart;
  std::sort(losses.begin(), losses.end());
  double low = losses.front(), high = losses[(losses.size() - 1) * 99 / 100];
  double tick = tickStep(std::max(high - low, 1e-3), 5);
  chart.lossMin = std::floor(low / tick) * tick;
  chart.lossMax = std::max(std::ceil(high / tick) * tick, chart.lossMin + tick);
  return chart;
}

/// At most two points per pixel column would be seen; long runs are thinned by averaging equal spans.
Series thinned(const Series &series, size_t most) {
  if (series.size() <= most)
    return series;
  Series out;
  for (size_t i = 0; i < most; ++i) {
    size_t begin = series.size() * i / most, end = series.size() * (i + 1) / most;
    double sum = 0;
    for (size_t k = begin; k < end; ++k)
      sum += series[k].second;
    out.emplace_back(series[(begin + end) / 2].first, sum / static_cast<double>(end - begin));
  }
  return out;
}

std::string polyline(const Chart &chart, const Series &series, std::string_view cssClass, bool dots) {
  std::string points, marks;
  for (auto [step, loss] : thinned(series, 1200)) {
    if (!std::isfinite(loss))
      continue;
    double px = chart.x(static_cast<double>(step)), py = chart.y(loss);
    points += fmt::format("{:.1f},{:.1f} ", px, py);
    if (dots)
      marks += fmt::format(
          "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>step {}: {:.4f}</title></circle>\n",
          cssClass, px, py, step, loss);
  }
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n{}", cssClass, points, marks);
}

std::string axes(const Chart &chart) {
  std::string out;
  const double lossTick = tickStep(chart.lossMax - chart.lossMin, 5), stepTick = tickStep(chart.stepMax, 8);
  for (double loss = chart.lossMin; loss <= chart.lossMax + lossTick / 2; loss += lossTick)
    out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                       "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>\n",
                       Chart::left, Chart::width - Chart::right, chart.y(loss), chart.y(loss), Chart::left - 6,
                       chart.y(loss) + 4, loss);
  for (double step = 0; step <= chart.stepMax; step += stepTick)
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f}</text>\n", chart.x(step),
                       Chart::height - Chart::bottom + 18, step);
  return out + fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>\n", Chart::width / 2,
                           Chart::height - 4);
}

std::string lossChart(const RunReport &report) {
  if (report.trainLoss.empty() && report.validationLoss.empty())
    return "<p>No loss was recorded.</p>\n";
  Chart chart = layOut(report.trainLoss, report.validationLoss);
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"loss over steps\">\n{}{}{}</svg>\n"
                     "<p class=\"legend\"><span class=\"train\">&#9632;</span> training "
                     "<span class=\"validation\">&#9632;</span> validation (nats per token)</p>\n",
                     Chart::width, Chart::height, axes(chart), polyline(chart, report.trainLoss, "train", false),
                     polyline(chart, report.validationLoss, "validation", true));
}

std::string factTable(const RunReport &report) {
  std::string rows;
  for (const auto &[name, value] : report.facts)
    rows += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escaped(validUtf8(name)), escaped(validUtf8(value)));
  return rows.empty() ? rows : fmt::format("<table>\n{}</table>\n", rows);
}

std::string section(std::string_view title, std::string_view text, bool folded) {
  if (text.empty())
    return "";
  std::string body = fmt::format("<pre>{}</pre>\n", escaped(validUtf8(text)));
  return folded ? fmt::format("<details><summary>{}</summary>\n{}</details>\n", title, body)
                : fmt::format("<h2>{}</h2>\n{}", title, body);
}

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --ink: #1d2329; --paper: #ffffff; --faint: #d8dde2; --train: #2563a8; --val: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --paper: #16191c; --faint: #383e44; --train: #7db2ee; --val: #f0995e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 920px; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; } .grid { stroke: var(--faint); }
polyline { fill: none; stroke-width: 1.5; } polyline.train { stroke: var(--train); } polyline.validation { stroke: var(--val); }
circle.validation { fill: var(--val); } span.train { color: var(--train); } span.validation { color: var(--val); }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; padding-right: 1.5rem; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--faint); border-radius: 4px; padding: 0.8rem; }
)";

} // namespace

std::string renderReport(const RunReport &report) {
  const std::string title = escaped(validUtf8(report.title));
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body>\n<h1>{}</h1>\n"
      "{}{}{}{}{}</body></html>\n",
      title, style, title, lossChart(report), factTable(report),
      section("Sample", report.samplePrompt + report.sample, false), section("Job", report.jobToml, true),
      section("Model", report.modelText, true));
}

absl::Status writeReport(const std::string &path, const RunReport &report) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(runtime::folderOf(path)));
  return runtime::writeFileAtomically(path, renderReport(report));
}

} // namespace oriel::trainer
