#include "compiler/tune/Table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace oriel::tune {
namespace {

constexpr size_t barWidth = 12;

/// ▇▇▇▍: eighths of a character.
std::string bar(double share) {
  static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  size_t eighths = static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * barWidth * 8));
  std::string text = repeated("█", eighths / 8) + parts[eighths % 8];
  return text + std::string(barWidth - widthOf(text), ' ');
}

/// The first `most` characters, the last of them "…" when there were more.
std::string shortened(const std::string &text, size_t most) {
  if (widthOf(text) <= most)
    return text;
  size_t end = 0;
  for (size_t characters = 0; end < text.size(); ++end)
    if ((text[end] & 0xC0) != 0x80 && characters++ == most - 1)
      break;
  return text.substr(0, end) + "…";
}

std::string aligned(const std::string &text, size_t width, bool left) {
  std::string blanks(width - std::min(width, widthOf(text)), ' ');
  return left ? text + blanks : blanks + text;
}

std::string withoutTrailingBlanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

/// 0 1 2 5 as "0-2,5".
std::string formatRanges(const std::set<int64_t> &numbers) {
  std::vector<std::string> parts;
  for (auto at = numbers.begin(); at != numbers.end();) {
    int64_t first = *at, last = first;
    for (++at; at != numbers.end() && *at == last + 1; ++at)
      last = *at;
    parts.push_back(first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

bool isDigit(char c) { return c >= '0' && c <= '9'; }

} // namespace

size_t widthOf(const std::string &text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string repeated(const std::string &text, size_t times) {
  std::string out;
  while (times-- > 0)
    out += text;
  return out;
}

std::string escapeHtml(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

std::string printText(const Table &table) {
  std::vector<std::vector<std::string>> lines(table.rows.size() + 1);
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const Column &column = table.columns[c];
    lines[0].push_back(column.title);
    for (size_t r = 0; r < table.rows.size(); ++r) {
      const Cell &cell = table.rows[r][c];
      std::string text = shortened(cell.text, column.mostWidth);
      lines[r + 1].push_back(cell.share < 0 ? text : bar(cell.share) + " " + aligned(text, 6, false));
    }
    widths.push_back(0);
    for (const auto &line : lines)
      widths.back() = std::max(widths.back(), widthOf(line[c]));
  }
  std::string out;
  for (size_t l = 0; l < lines.size(); ++l) {
    std::string line;
    for (size_t c = 0; c < lines[l].size(); ++c)
      line += (c ? "  " : "") + aligned(lines[l][c], widths[c], table.columns[c].isText);
    out += withoutTrailingBlanks(line);
    if (l == 0)
      out += repeated("─", widthOf(line)) + "\n";
  }
  return out;
}

std::string printHtml(const Table &table) {
  auto classOf = [](const Column &column) { return column.isText ? " class=\"text\"" : ""; };
  std::string out = "<table><thead><tr>";
  for (const Column &column : table.columns)
    out += fmt::format("<th{}>{}</th>", classOf(column), escapeHtml(column.title));
  out += "</tr></thead><tbody>\n";
  for (const auto &row : table.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) {
      std::string drawn;
      if (row[c].share >= 0)
        drawn =
            fmt::format("<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\"><rect width=\"{:.1f}\" "
                        "height=\"10\"/></svg> ",
                        100 * std::min(row[c].share, 1.0));
      out += fmt::format("<td{}>{}{}</td>", classOf(table.columns[c]), drawn, escapeHtml(row[c].text));
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

std::string formatSeconds(double seconds) {
  auto digits = [](double number) {
    return fmt::format("{:.{}f}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0);
  };
  if (seconds >= 0.9995)
    return digits(seconds) + " s";
  return seconds >= 0.9995e-3 ? digits(seconds * 1e3) + " ms" : digits(seconds * 1e6) + " us";
}

std::string formatMib(int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / (1 << 20)); }

std::string formatPercent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string formatLayers(const std::set<std::string> &layers) {
  struct Group {
    std::string before, after;
    std::set<int64_t> numbers;
  };
  std::vector<Group> groups;
  for (const std::string &layer : layers) {
    size_t first = std::find_if(layer.begin(), layer.end(), isDigit) - layer.begin(), end = first;
    while (end < layer.size() && isDigit(layer[end]))
      ++end;
    Group group{layer.substr(0, first), layer.substr(end), {}};
    auto same = std::find_if(groups.begin(), groups.end(), [&](const Group &other) {
      return other.before == group.before && other.after == group.after && other.numbers.empty() == (first == end);
    });
    if (same == groups.end())
      same = groups.insert(groups.end(), group);
    if (first < end)
      same->numbers.insert(std::stoll(layer.substr(first, std::min<size_t>(end - first, 18))));
  }
  std::vector<std::string> parts;
  for (const Group &group : groups) {
    std::string numbers = formatRanges(group.numbers);
    parts.push_back(group.before + (group.numbers.size() > 1 ? "{" + numbers + "}" : numbers) + group.after);
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace oriel::tune
