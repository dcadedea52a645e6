// metrics.jsonl and the event file, side by side.
#include "trainer/metrics/MetricsWriter.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "fmt/format.h"
#include "nlohmann/json.hpp"

#include <chrono>
#include <cmath>

namespace oriel::trainer {
namespace {

using Json = nlohmann::ordered_json;

Json numberJson(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value > 0 ? "inf" : "-inf";
  return value;
}

/// Calls `visit(line with its end, parsed record)` for every readable record with a step.
template <typename Visit> void forEachRecord(std::string_view text, Visit visit) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end);
    Json record = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (line.ends_with('\n') && record.is_object() && record.contains("step") && record["step"].is_number_integer())
      visit(line, record);
  }
}

/// Rewrites the file without the records after `lastStep` and without torn lines.
absl::Status dropLaterRecords(const std::string &path, int64_t lastStep) {
  absl::StatusOr<std::string> text = runtime::readFile(path);
  if (absl::IsNotFound(text.status()))
    return absl::OkStatus();
  ORIEL_RETURN_IF_ERROR(text.status());
  std::string kept;
  forEachRecord(*text, [&](std::string_view line, const Json &record) {
    if (record["step"].get<int64_t>() <= lastStep)
      kept += line;
  });
  return kept == *text ? absl::OkStatus() : runtime::writeFileAtomically(path, kept);
}

} // namespace

absl::StatusOr<MetricsWriter> MetricsWriter::open(const MetricsFiles &files, int64_t resumeStep) {
  ORIEL_RETURN_IF_ERROR(runtime::makeFolders(files.dir));
  MetricsWriter writer;
  if (files.jsonl) {
    const std::string path = files.dir + "/metrics.jsonl";
    if (resumeStep >= 0)
      ORIEL_RETURN_IF_ERROR(dropLaterRecords(path, resumeStep));
    ORIEL_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
    writer.jsonl_.emplace(std::move(file));
  }
  if (files.tensorboard) {
    ORIEL_ASSIGN_OR_RETURN(writer.events_, EventFile::create(files.dir));
  }
  return writer;
}

absl::Status MetricsWriter::add(int64_t step, const Scalars &scalars) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (jsonl_) {
    Json record{{"step", step}, {"time", now}};
    for (const auto &[name, value] : scalars)
      record[name] = numberJson(value);
    std::string line = record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    ORIEL_RETURN_IF_ERROR(jsonl_->append(line));
  }
  return events_ ? events_->add(step, now, scalars) : absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<int64_t, double>>> readScalar(const std::string &metricsDir,
                                                                   const std::string &name) {
  ORIEL_ASSIGN_OR_RETURN(std::string text, runtime::readFile(metricsDir + "/metrics.jsonl"));
  std::vector<std::pair<int64_t, double>> series;
  forEachRecord(text, [&](std::string_view, const Json &record) {
    if (auto value = record.find(name); value != record.end() && value->is_number())
      series.emplace_back(record["step"].get<int64_t>(), value->get<double>());
  });
  return series;
}

} // namespace oriel::trainer
