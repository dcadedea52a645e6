// The entry `vjp` lists its inputs and outputs in the order of the function; names play no part here.
#include "trainer/verify/RunCase.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/base/Subprocess.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/executor/Executor.h"

#include "absl/strings/str_cat.h"

#include <algorithm>

namespace oriel::trainer {

using namespace runtime;

namespace {

constexpr double compileSeconds = 300;

absl::Status compileText(const std::string &text, const std::string &compiler, const std::string &folder) {
  std::string source = folder + "/case.mlir";
  ORIEL_RETURN_IF_ERROR(writeFileAtomically(source, text));
  ORIEL_ASSIGN_OR_RETURN(ProcessResult result,
                         runProcess({compiler, source, "-o", folder + "/package"}, Deadline::after(compileSeconds)));
  if (result.exitStatus != 0)
    return absl::FailedPreconditionError(
        absl::StrCat(compiler, " ended with status ", result.exitStatus, ":\n", result.standardError));
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

absl::StatusOr<NamedComparison> compareResult(Executor &executor, const std::string &buffer,
                                              const GoldenExpectation &expected) {
  ORIEL_ASSIGN_OR_RETURN(absl::Span<float> actual, executor.buffer<float>(buffer));
  const GoldenTensor &tensor = expected.tensor;
  if (actual.size() != tensor.values.size())
    return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name, "' has ", tensor.values.size(),
                                                   " elements; the computed one has ", actual.size()));
  return NamedComparison{tensor.name, compare(actual, tensor.values, expected.tolerance)};
}

} // namespace

absl::StatusOr<std::vector<NamedComparison>> runCase(const GoldenCase &golden, Device &device,
                                                     const std::string &compiler, const std::string &folder) {
  ORIEL_RETURN_IF_ERROR(compileText(golden.text, compiler, folder));
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<const Package> package, Package::load(folder + "/package"));
  const plan::EntryPoint *entry = package->findEntry("vjp");
  if (!entry || static_cast<size_t>(entry->inputs_size()) != golden.arguments.size() ||
      static_cast<size_t>(entry->outputs_size()) != golden.expected.size())
    return absl::InternalError(absl::StrCat(folder, "/package: no entry 'vjp' of ", golden.arguments.size(),
                                            " inputs and ", golden.expected.size(), " outputs"));
  auto group = createLocalGroup(1);
  ORIEL_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, Executor::create(package, device, *group.front()));
  for (size_t i = 0; i < golden.arguments.size(); ++i) {
    const GoldenTensor &tensor = golden.arguments[i];
    const std::string &buffer = entry->inputs(static_cast<int>(i));
    ORIEL_RETURN_IF_ERROR(tensor.isInteger ? fill<int32_t>(*executor, buffer, tensor)
                                           : fill<float>(*executor, buffer, tensor));
  }
  ORIEL_RETURN_IF_ERROR(executor->run("vjp"));
  std::vector<NamedComparison> comparisons;
  for (size_t i = 0; i < golden.expected.size(); ++i) {
    if (golden.expected[i].tensor.values.empty())
      continue;
    ORIEL_ASSIGN_OR_RETURN(NamedComparison comparison,
                           compareResult(*executor, entry->outputs(static_cast<int>(i)), golden.expected[i]));
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

} // namespace oriel::trainer
