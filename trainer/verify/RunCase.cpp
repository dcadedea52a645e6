// The entry `vjp` lists its inputs and outputs in the order of the function; names play no part here.
#include "trainer/verify/RunCase.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/executor/Executor.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <bit>

namespace oriel::trainer {

using namespace runtime;

namespace {

constexpr double compileSeconds = 300;
constexpr double bf16Tolerance = 1e-2; // what the public implementations ask of themselves

absl::Status compileText(const std::string &text, const TextRun &how) {
  if (how.compiler.empty())
    return absl::OkStatus();
  std::string source = how.folder + "/case.mlir";
  ORIEL_RETURN_IF_ERROR(writeFileAtomically(source, text));
  std::vector<std::string> command = {how.compiler, source, "-o", how.folder + "/" + how.package};
  command.insert(command.end(), how.compilerOptions.begin(), how.compilerOptions.end());
  ORIEL_ASSIGN_OR_RETURN(ProcessResult result, runProcess(command, Deadline::after(compileSeconds)));
  if (result.exitStatus != 0)
    return absl::FailedPreconditionError(
        absl::StrCat(how.compiler, " ended with status ", result.exitStatus, ":\n", result.standardError));
  return absl::OkStatus();
}

template <typename T> absl::Status fill(Executor &executor, const std::string &buffer, const GoldenTensor &tensor) {
  ORIEL_ASSIGN_OR_RETURN(absl::Span<T> target, executor.buffer<T>(buffer));
  if (target.size() != tensor.values.size())
    return absl::InternalError(absl::StrCat("buffer '", buffer, "' has ", target.size(), " elements, tensor '",
                                            tensor.name, "' has ", tensor.values.size()));
  std::transform(tensor.values.begin(), tensor.values.end(), target.begin(), [](float x) { return static_cast<T>(x); });
  return absl::OkStatus();
}

/// The same for kernels in bf16.
TextRun narrowed(TextRun how) {
  how.package = "package-bf16";
  how.compilerOptions.insert(how.compilerOptions.end(), {"--dtype", "bf16"});
  return how;
}

/// To nearest, ties to even.
float roundToBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

} // namespace

absl::StatusOr<std::vector<std::vector<float>>>
runText(const std::string &text, const std::vector<GoldenTensor> &arguments, const TextRun &how) {
  ORIEL_RETURN_IF_ERROR(compileText(text, how));
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<const Package> package, Package::load(how.folder + "/" + how.package));
  const plan::EntryPoint *entry = package->findEntry("vjp");
  if (!entry || static_cast<size_t>(entry->inputs_size()) != arguments.size())
    return absl::InternalError(
        absl::StrCat(how.folder, "/", how.package, ": no entry 'vjp' of ", arguments.size(), " inputs"));
  auto group = createLocalGroup(1);
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, Executor::create(package, *how.device, *group.front()));
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &buffer = entry->inputs(static_cast<int>(i));
    ORIEL_RETURN_IF_ERROR(arguments[i].isInteger ? fill<int32_t>(*executor, buffer, arguments[i])
                                                 : fill<float>(*executor, buffer, arguments[i]));
  }
  ORIEL_RETURN_IF_ERROR(executor->run("vjp"));
  std::vector<std::vector<float>> outputs;
  for (const std::string &buffer : entry->outputs()) {
    ORIEL_ASSIGN_OR_RETURN(absl::Span<float> values, executor->buffer<float>(buffer));
    outputs.emplace_back(values.begin(), values.end());
  }
  return outputs;
}

absl::StatusOr<std::vector<NamedComparison>> runCase(const GoldenCase &golden, const TextRun &how) {
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::vector<float>> outputs, runText(golden.text, golden.arguments, how));
  if (outputs.size() != golden.expected.size())
    return absl::InternalError(absl::StrCat(how.folder, "/", how.package, ": the entry 'vjp' has ", outputs.size(),
                                            " outputs instead of ", golden.expected.size()));
  std::vector<NamedComparison> comparisons;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const GoldenTensor &tensor = golden.expected[i].tensor;
    if (tensor.values.empty())
      continue;
    if (outputs[i].size() != tensor.values.size())
      return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name, "' has ", tensor.values.size(),
                                                     " elements; the computed one has ", outputs[i].size()));
    comparisons.push_back(
        {tensor.name, compare(outputs[i], tensor.values, std::max(golden.expected[i].tolerance, how.leastTolerance))});
  }
  return comparisons;
}

absl::StatusOr<std::vector<NamedComparison>> runCaseInBf16(const GoldenCase &golden, const TextRun &how) {
  TextRun wide = how;
  if (how.leastTolerance > 0)
    wide.leastTolerance = bf16Tolerance;
  ORIEL_ASSIGN_OR_RETURN(std::vector<NamedComparison> f32, runCase(golden, wide));
  if (std::any_of(f32.begin(), f32.end(), [](const NamedComparison &named) { return !named.comparison.ok; }))
    return f32;
  GoldenCase rounded = golden;
  for (GoldenTensor &tensor : rounded.arguments)
    if (!tensor.isInteger)
      std::transform(tensor.values.begin(), tensor.values.end(), tensor.values.begin(), roundToBf16);
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::vector<float>> wanted, runText(rounded.text, rounded.arguments, how));
  for (size_t i = 0; i < wanted.size(); ++i) {
    GoldenExpectation &expected = rounded.expected[i];
    if (!expected.tensor.values.empty())
      expected.tensor.values = wanted[i];
    expected.tolerance = bf16Tolerance;
  }
  return runCase(rounded, narrowed(how));
}

absl::Status compileCase(const GoldenCase &golden, const TextRun &how, bool bf16) {
  ORIEL_RETURN_IF_ERROR(compileText(golden.text, how));
  return bf16 ? compileText(golden.text, narrowed(how)) : absl::OkStatus();
}

} // namespace oriel::trainer
