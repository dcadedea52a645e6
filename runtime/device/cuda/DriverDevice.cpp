// Device.h in terms of driver calls. Addresses of device memory travel as std::byte pointers that nobody follows.
#include "runtime/device/cuda/DriverDevice.h"

#include "runtime/base/Status.h"
#include "runtime/plan/plan.pb.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <filesystem>

namespace oriel::runtime::cuda {

namespace {

Address addressOf(const void *pointer) { return reinterpret_cast<Address>(pointer); }

/// The context of one device, made current before its driver is called, and the texts of its errors.
class Session {
public:
  Session(const Driver &driver, Context context) : driver_(driver), context_(context) {}

  /// The driver, for a call from this thread.
  const Driver &enter() const {
    driver_.ctxSetCurrent(context_);
    return driver_;
  }
  absl::Status check(Result result, absl::string_view what) const { return cuda::check(driver_, result, what); }

private:
  const Driver &driver_;
  Context context_;
};

class Memory final : public DeviceMemory {
public:
  Memory(const Session &session, Address address, size_t bytes) : session_(session), address_(address), bytes_(bytes) {}
  ~Memory() override { session_.enter().memFree(address_); }
  std::byte *data() const override { return reinterpret_cast<std::byte *>(address_); }
  size_t bytes() const override { return bytes_; }
  bool hostVisible() const override { return false; }

private:
  const Session &session_;
  Address address_;
  size_t bytes_;
};

struct Launch final : PreparedLaunch {
  Function function = nullptr;
  LaunchSpec spec;
  std::vector<void *> parameters; // filled in by each launch
};

class LoadedModule final : public KernelLibrary {
public:
  LoadedModule(const Session &session, Module module, std::string path)
      : session_(session), module_(module), path_(std::move(path)) {}
  ~LoadedModule() override { session_.enter().moduleUnload(module_); }

  absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const LaunchSpec &spec) override {
    auto launch = std::make_unique<Launch>();
    const Driver &driver = session_.enter();
    if (Result result = driver.moduleGetFunction(&launch->function, module_, spec.symbol.c_str()); result == notFound)
      return absl::NotFoundError(absl::StrCat(path_, " has no kernel '", spec.symbol, "'"));
    else
      ORIEL_RETURN_IF_ERROR(session_.check(result, absl::StrCat("find kernel ", spec.symbol)));
    ORIEL_RETURN_IF_ERROR(session_.check(
        driver.funcSetAttribute(launch->function, attributeDynamicSharedBytes, static_cast<int>(spec.sharedBytes)),
        absl::StrCat(spec.sharedBytes, " bytes of shared memory for kernel ", spec.symbol)));
    launch->spec = spec;
    launch->parameters.resize(static_cast<size_t>(spec.arguments));
    return launch;
  }

private:
  const Session &session_;
  Module module_;
  std::string path_;
};

class GraphRecording final : public Recording {
public:
  GraphRecording(const Session &session, GraphExec exec) : session_(session), exec_(exec) {}
  ~GraphRecording() override { session_.enter().graphExecDestroy(exec_); }
  GraphExec exec() const { return exec_; }

private:
  const Session &session_;
  GraphExec exec_;
};

class DriverDevice final : public runtime::Device {
public:
  DriverDevice(Backend backend, const Session &session, Stream stream, std::string description)
      : backend_(std::move(backend)), session_(session), stream_(stream), description_(std::move(description)) {}
  ~DriverDevice() override {
    products_.reset();
    session_.enter().streamDestroy(stream_);
  }

  absl::Status makeProducts() {
    ORIEL_ASSIGN_OR_RETURN(products_, backend_.products());
    return absl::OkStatus();
  }

  std::string description() const override { return description_; }
  int threads() const override { return backend_.hostThreads; }

  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes) override;
  absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const plan::Target &target,
                                                             const std::string &stem) override;
  absl::StatusOr<std::shared_ptr<PreparedGemm>> prepareGemm(const GemmSpec &spec) override {
    session_.enter();
    return products_->prepare(spec);
  }

  absl::Status launch(PreparedLaunch &launch, void *const *addresses) override;
  absl::Status gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) override {
    session_.enter();
    return products_->run(gemm, a, b, c, stream_);
  }
  absl::Status fillZero(void *target, size_t bytes) override {
    return session_.check(session_.enter().memsetD8Async(addressOf(target), 0, bytes, stream_), "fill");
  }
  absl::Status copy(void *target, const void *source, size_t bytes) override {
    return session_.check(session_.enter().memcpyAsync(addressOf(target), addressOf(source), bytes, stream_), "copy");
  }
  absl::Status synchronize() override {
    return session_.check(session_.enter().streamSynchronize(stream_), description_);
  }

  Stream stream() const { return stream_; }
  absl::StatusOr<bool> isIdle() {
    Result result = session_.enter().streamQuery(stream_);
    if (result == notReady)
      return false;
    ORIEL_RETURN_IF_ERROR(session_.check(result, description_));
    return true;
  }

  absl::StatusOr<std::unique_ptr<Recording>> record(absl::FunctionRef<absl::Status()> issue) override;
  absl::Status replay(Recording &recording) override {
    GraphExec exec = static_cast<GraphRecording &>(recording).exec();
    return session_.check(session_.enter().graphLaunch(exec, stream_), "launch a graph");
  }

private:
  Backend backend_;
  Session session_;
  Stream stream_;
  std::string description_;
  std::unique_ptr<MatrixProducts> products_;
};

absl::StatusOr<std::unique_ptr<DeviceMemory>> DriverDevice::allocate(size_t bytes) {
  Address address = 0;
  size_t atLeastOne = std::max<size_t>(bytes, 1);
  ORIEL_RETURN_IF_ERROR(
      session_.check(session_.enter().memAlloc(&address, atLeastOne), absl::StrCat(bytes, " bytes of GPU memory")));
  auto memory = std::make_unique<Memory>(session_, address, bytes);
  ORIEL_RETURN_IF_ERROR(fillZero(memory->data(), atLeastOne));
  ORIEL_RETURN_IF_ERROR(synchronize());
  return memory;
}

absl::StatusOr<std::unique_ptr<KernelLibrary>> DriverDevice::loadKernels(const plan::Target &target,
                                                                         const std::string &stem) {
  if (target.kind() != "nvidia")
    return absl::FailedPreconditionError(absl::StrCat("compiled for ", target.kind(), ", and the device is ",
                                                      description_, ": compile it with --target nvidia:CHIP"));
  if (backend_.checkTarget)
    ORIEL_RETURN_IF_ERROR(backend_.checkTarget(target));
  std::vector<std::string> reasons;
  for (const std::string &suffix : backend_.suffixes) {
    std::string path = stem + suffix;
    if (!std::filesystem::exists(path))
      continue;
    Module module = nullptr;
    absl::Status status = session_.check(session_.enter().moduleLoad(&module, path.c_str()), path);
    if (status.ok())
      return std::make_unique<LoadedModule>(session_, module, path);
    reasons.push_back(std::string(status.message()));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("compiled for ", target.chip(), ", which ", description_, " does not run: ",
                   reasons.empty() ? absl::StrCat("no ", stem, absl::StrJoin(backend_.suffixes, " or "))
                                   : absl::StrJoin(reasons, "; ")));
}

absl::Status DriverDevice::launch(PreparedLaunch &prepared, void *const *addresses) {
  auto &launch = static_cast<Launch &>(prepared);
  for (size_t i = 0; i < launch.parameters.size(); ++i)
    launch.parameters[i] = const_cast<void **>(addresses + i); // the driver reads an address from each
  auto size = [&](size_t dim) { return static_cast<unsigned>(launch.spec.grid[dim]); };
  return session_.check(session_.enter().launchKernel(launch.function, size(0), size(1), size(2),
                                                      static_cast<unsigned>(launch.spec.threads), 1, 1,
                                                      static_cast<unsigned>(launch.spec.sharedBytes), stream_,
                                                      launch.parameters.data(), nullptr),
                        launch.spec.symbol);
}

absl::StatusOr<std::unique_ptr<Recording>> DriverDevice::record(absl::FunctionRef<absl::Status()> issue) {
  const Driver &driver = session_.enter();
  ORIEL_RETURN_IF_ERROR(session_.check(driver.streamBeginCapture(stream_, captureThreadLocal), "record a graph"));
  absl::Status issued = issue();
  Graph graph = nullptr;
  absl::Status ended = session_.check(driver.streamEndCapture(stream_, &graph), "record a graph");
  GraphExec exec = nullptr;
  if (issued.ok() && ended.ok())
    ended = session_.check(driver.graphInstantiate(&exec, graph, 0), "make a graph");
  if (graph)
    driver.graphDestroy(graph);
  ORIEL_RETURN_IF_ERROR(issued);
  ORIEL_RETURN_IF_ERROR(ended);
  return std::make_unique<GraphRecording>(session_, exec);
}

} // namespace

Stream streamOf(runtime::Device &device) { return static_cast<DriverDevice &>(device).stream(); }
absl::StatusOr<bool> isIdle(runtime::Device &device) { return static_cast<DriverDevice &>(device).isIdle(); }

absl::StatusOr<std::unique_ptr<runtime::Device>> createDriverDevice(Backend backend) {
  const Driver &driver = *backend.driver;
  ORIEL_RETURN_IF_ERROR(check(driver, driver.init(0), "start the NVIDIA driver"));
  Device device = 0;
  if (driver.deviceGet(&device, backend.ordinal) != success)
    return absl::NotFoundError(absl::StrCat("there is no NVIDIA GPU number ", backend.ordinal, " (see nvidia-smi)"));
  std::array<char, 256> name = {};
  Context context = nullptr;
  Stream stream = nullptr;
  ORIEL_RETURN_IF_ERROR(
      check(driver, driver.deviceGetName(name.data(), static_cast<int>(name.size()), device), "name of the GPU"));
  ORIEL_RETURN_IF_ERROR(check(driver, driver.devicePrimaryCtxRetain(&context, device), "open the GPU"));
  ORIEL_RETURN_IF_ERROR(check(driver, driver.ctxSetCurrent(context), "open the GPU"));
  ORIEL_RETURN_IF_ERROR(check(driver, driver.streamCreate(&stream, streamNonBlocking), "make a stream"));
  std::string description = absl::StrCat(backend.name, ": ", name.data());
  auto made = std::make_unique<DriverDevice>(std::move(backend), Session(driver, context), stream, description);
  ORIEL_RETURN_IF_ERROR(made->makeProducts());
  return made;
}

} // namespace oriel::runtime::cuda
