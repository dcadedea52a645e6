// A golden file as a runnable case: the lm text that computes it, the arguments, and what must come out. `oriel verify`
// compiles the text and runs it on a device; the unit test of the reference interpreter evaluates it in fp64.
//
// Knows the families rla_op, rla_prefill, group_rmsnorm, attention and rattention_layer. Everything is in the layout of
// the lm dialect ([B,T,N,D], weights [out,in]); comparing is indifferent to that.
#ifndef ORIEL_TRAINER_VERIFY_GOLDENCASE_H
#define ORIEL_TRAINER_VERIFY_GOLDENCASE_H

#include "absl/status/statusor.h"
#include "trainer/verify/GoldenReader.h"

#include <string>
#include <vector>

namespace oriel::trainer {

/// What one result of the entry `vjp` must be. Without values the result is not compared.
struct GoldenExpectation {
  GoldenTensor tensor;
  double tolerance = 0; // of ||a-b|| / ||b|| in f32; max |a-b| <= 1e-6 passes too
};

struct GoldenCase {
  std::string family, name;
  /// An lm module with @f and lm.vjp; compile it and run its entry `vjp`.
  std::string text;
  /// In order: the arguments of @f, then the cotangents.
  std::vector<GoldenTensor> arguments;
  /// In order: the results of @f, then the gradients.
  std::vector<GoldenExpectation> expected;
};

/// InvalidArgument, naming the file, when it is no golden case of a known family.
absl::StatusOr<GoldenCase> readGoldenCase(const SafetensorsFile &file);

/// Collects arguments, results and gradients while a family writes its function.
class GoldenCaseBuilder {
public:
  GoldenCaseBuilder(GoldenReader &reader, double tolerance, double gradientTolerance)
      : reader(reader), tolerance_(tolerance), gradientTolerance_(gradientTolerance) {}

  /// An argument without gradient, or one whose gradient must be `gradient` (in the same layout).
  LmValue argument(GoldenTensor tensor);
  LmValue argument(GoldenTensor tensor, GoldenTensor gradient);

  /// A result of @f; with a cotangent if one is given.
  void result(const LmValue &value, GoldenTensor expected);
  void result(const LmValue &value, GoldenTensor expected, GoldenTensor cotangent);

  GoldenCase finish() &&;

  GoldenReader &reader;
  LmFunction function;

private:
  GoldenCase case_;
  std::vector<GoldenTensor> cotangents_;
  std::vector<GoldenExpectation> gradients_;
  std::vector<LmValue> results_;
  std::vector<int> wrt_;
  std::vector<bool> hasCotangent_;
  double tolerance_, gradientTolerance_;
};

/// doc_start [B,T] of segment ids [B,T]: a document starts where the id changes.
GoldenTensor documentStarts(GoldenReader &reader);

// One per family, in GoldenOps.cpp and GoldenLayer.cpp.
GoldenCase goldenResidualLinearAttention(GoldenReader &reader, bool isPrefill);
GoldenCase goldenLinearAttention(GoldenReader &reader);
GoldenCase goldenRmsNorm(GoldenReader &reader);
GoldenCase goldenAttention(GoldenReader &reader);
GoldenCase goldenRAttentionLayer(GoldenReader &reader);

} // namespace oriel::trainer

#endif
