#include "trainer/loop/Sample.h"

#include "runtime/base/Status.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "trainer/generate/Generate.h"

namespace oriel::trainer {

absl::StatusOr<std::string> sampleOfRun(const Job &job, const RunSetup &setup, const std::function<void()> &beat) {
  ORIEL_ASSIGN_OR_RETURN(PackageRequest request, packageRequestOf(job, setup.modelText, /*world=*/1));
  request.batch = request.gradSlots = 1;
  request.target = "cpu"; // wherever the model was trained
  ORIEL_ASSIGN_OR_RETURN(CachedPackage cached,
                         findOrCompile(request, runtime::Deadline::after(kCompileDeadlineSeconds)));
  ORIEL_ASSIGN_OR_RETURN(auto device, runtime::createCpuDevice({static_cast<int>(job.training().threads()), -1}));
  auto alone = runtime::createLocalGroup(1);
  ORIEL_ASSIGN_OR_RETURN(auto state, ModelState::create(cached.package, *device, *alone[0]));
  ORIEL_RETURN_IF_ERROR(state->copyParameters(*setup.state));

  SamplingOptions options{job.sample().temperature(), job.sample().top_k(), 1.0, job.training().seed()};
  std::vector<int32_t> prompt = setup.tokenizer->encode(job.sample().prompt());
  if (prompt.empty())
    prompt.push_back(setup.tokenizer->endOfDocument());
  beat();
  ORIEL_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                         generate(*state, prompt, job.sample().tokens(), options, setup.tokenizer->vocabSize(),
                                  setup.tokenizer->endOfDocument(), [&](int32_t) { beat(); }));
  return setup.tokenizer->decode(ids);
}

} // namespace oriel::trainer
