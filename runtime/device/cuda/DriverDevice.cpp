// Device.h in terms of driver calls. Addresses of device memory travel as std::byte pointers that nobody follows.
//
// Zeros are copied from a block of zeros, small enough to stay in the GPU's L2 cache.
#include "runtime/device/cuda/DriverDevice.h"

#include "runtime/base/Bytes.h"
#include "runtime/base/Files.h"
#include "runtime/base/Status.h"
#include "runtime/device/cuda/GpuFacts.h"
#include "runtime/device/cuda/Session.h"
#include "runtime/device/cuda/TensorMaps.h"
#include "runtime/plan/plan.pb.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <cstring>
#include <filesystem>
#include <map>

namespace oriel::runtime::cuda {

namespace {

constexpr size_t zeroBytes = size_t(4) << 20;

Address addressOf(const void *pointer) { return reinterpret_cast<Address>(pointer); }

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

/// Pinned memory of the host. The driver keeps it for good, so what was given back is used again.
class StagingPool {
public:
  absl::StatusOr<std::byte *> take(const Session &session, size_t bytes) {
    if (auto found = free_.lower_bound(bytes); found != free_.end() && found->first <= 2 * bytes) {
      std::byte *memory = found->second;
      sizes_[memory] = found->first;
      free_.erase(found);
      return memory;
    }
    void *memory = nullptr;
    ORIEL_RETURN_IF_ERROR(session.check(session.enter().memHostAlloc(&memory, bytes, hostAllocPortable),
                                        absl::StrCat(formatBytes(bytes), " of pinned host memory")));
    sizes_[static_cast<std::byte *>(memory)] = bytes;
    return static_cast<std::byte *>(memory);
  }
  void giveBack(std::byte *memory) { free_.emplace(sizes_[memory], memory); }

private:
  std::multimap<size_t, std::byte *> free_; // by size
  std::map<std::byte *, size_t> sizes_;
};

class StagingMemory final : public DeviceMemory {
public:
  StagingMemory(StagingPool &pool, std::byte *data, size_t bytes) : pool_(pool), data_(data), bytes_(bytes) {
    std::memset(data, 0, bytes);
  }
  ~StagingMemory() override { pool_.giveBack(data_); }
  std::byte *data() const override { return data_; }
  size_t bytes() const override { return bytes_; }
  bool hostVisible() const override { return true; }

private:
  StagingPool &pool_;
  std::byte *data_;
  size_t bytes_;
};

struct Launch final : PreparedLaunch {
  explicit Launch(const LaunchSpec &spec)
      : spec(spec), maps(spec.tensorMaps), parameters(static_cast<size_t>(spec.arguments) + maps.size()) {}

  Function function = nullptr;
  LaunchSpec spec;
  TensorMaps maps;
  std::vector<void *> parameters; // buffers, then maps; filled in by each launch
};

/// One module with all kernels, under their symbols (of the emulator), or one for each kernel.
class LoadedModules final : public KernelLibrary {
public:
  LoadedModules(const Session &session, std::string stem) : session_(session), stem_(std::move(stem)) {}
  ~LoadedModules() override {
    for (const auto &[symbol, place] : places_)
      session_.enter().moduleUnload(place.module);
  }

  bool has(const std::string &symbol) const { return places_.contains(symbol); }
  /// `symbol` empty: of all kernels.
  absl::Status load(const std::string &path, const std::string &symbol, const std::string &function) {
    Module module = nullptr;
    ORIEL_RETURN_IF_ERROR(session_.check(session_.enter().moduleLoad(&module, path.c_str()), path));
    places_[symbol] = {module, function};
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const LaunchSpec &spec) override {
    auto launch = std::make_unique<Launch>(spec);
    const Driver &driver = session_.enter();
    auto found = places_.find(spec.symbol);
    if (found == places_.end())
      found = places_.find("");
    Result result = notFound;
    if (found != places_.end()) {
      const auto &[module, function] = found->second;
      result = driver.moduleGetFunction(&launch->function, module, (function.empty() ? spec.symbol : function).c_str());
    }
    if (result == notFound)
      return absl::NotFoundError(absl::StrCat(stem_, " has no kernel '", spec.symbol, "'"));
    else
      ORIEL_RETURN_IF_ERROR(session_.check(result, absl::StrCat("find kernel ", spec.symbol)));
    ORIEL_RETURN_IF_ERROR(session_.check(
        driver.funcSetAttribute(launch->function, attributeDynamicSharedBytes, static_cast<int>(spec.sharedBytes)),
        absl::StrCat(spec.sharedBytes, " bytes of shared memory for kernel ", spec.symbol)));
    return launch;
  }

private:
  struct Place {
    Module module;
    std::string function; // empty: the symbol
  };
  const Session &session_;
  std::string stem_;
  std::map<std::string, Place> places_; // by symbol
};

struct GraphRecording final : Recording {
  explicit GraphRecording(GraphExec exec) : exec(exec) {}
  const GraphExec exec;
};

class DriverDevice final : public runtime::Device {
public:
  DriverDevice(Backend backend, const Session &session, Stream stream, std::string description)
      : backend_(std::move(backend)), session_(session), stream_(stream), description_(std::move(description)) {}
  ~DriverDevice() override {
    products_.reset();
    if (zeros_)
      session_.enter().memFree(zeros_);
  }

  absl::Status makeParts();

  std::string description() const override { return description_; }
  int threads() const override { return backend_.hostThreads; }

  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes, MemoryUse use) override;
  absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const plan::Plan &plan,
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
  absl::Status fillZero(void *target, size_t bytes) override;
  absl::Status copy(void *target, const void *source, size_t bytes) override {
    return session_.check(session_.enter().memcpyAsync(addressOf(target), addressOf(source), bytes, stream_), "copy");
  }
  absl::Status synchronize() override { return session_.await(stream_, description_); }

  absl::StatusOr<std::unique_ptr<SideStream>> openSideStream() const { return SideStream::create(session_, stream_); }
  absl::StatusOr<bool> isIdle() const { return session_.isIdle(stream_, description_); }

  absl::StatusOr<std::unique_ptr<Recording>> record(absl::FunctionRef<absl::Status()> issue) override;
  absl::Status replay(Recording &recording) override {
    GraphExec exec = static_cast<GraphRecording &>(recording).exec;
    return session_.check(session_.enter().graphLaunch(exec, stream_), "launch a graph");
  }

private:
  absl::Status loadCode(const plan::Plan &plan, const std::string &stem, LoadedModules &modules);

  Backend backend_;
  Session session_;
  Stream stream_;
  std::string description_;
  Address zeros_ = 0; // zeroBytes bytes
  StagingPool staging_;
  std::unique_ptr<MatrixProducts> products_;
};

absl::Status DriverDevice::makeParts() {
  ORIEL_RETURN_IF_ERROR(session_.check(session_.enter().memAlloc(&zeros_, zeroBytes), "memory of the device"));
  std::vector<std::byte> zeros(zeroBytes);
  ORIEL_RETURN_IF_ERROR(copy(reinterpret_cast<void *>(zeros_), zeros.data(), zeroBytes));
  ORIEL_RETURN_IF_ERROR(synchronize());
  ORIEL_ASSIGN_OR_RETURN(products_, backend_.products());
  return absl::OkStatus();
}

absl::Status DriverDevice::fillZero(void *target, size_t bytes) {
  for (size_t done = 0; done < bytes; done += zeroBytes)
    ORIEL_RETURN_IF_ERROR(session_.check(
        session_.enter().memcpyAsync(addressOf(target) + done, zeros_, std::min(bytes - done, zeroBytes), stream_),
        "fill"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> DriverDevice::allocate(size_t bytes, MemoryUse use) {
  Address address = 0;
  size_t atLeastOne = std::max<size_t>(bytes, 1);
  if (use == MemoryUse::Staging) {
    ORIEL_ASSIGN_OR_RETURN(std::byte * data, staging_.take(session_, atLeastOne));
    return std::make_unique<StagingMemory>(staging_, data, bytes);
  }
  ORIEL_RETURN_IF_ERROR(session_.check(session_.enter().memAlloc(&address, atLeastOne),
                                       absl::StrCat(formatBytes(bytes), " of memory of ", description_)));
  auto memory = std::make_unique<Memory>(session_, address, bytes);
  ORIEL_RETURN_IF_ERROR(fillZero(memory->data(), atLeastOne));
  ORIEL_RETURN_IF_ERROR(synchronize());
  return memory;
}

absl::StatusOr<std::unique_ptr<KernelLibrary>> DriverDevice::loadKernels(const plan::Plan &plan,
                                                                         const std::string &stem) {
  const plan::Target &target = plan.target();
  if (target.kind() != "nvidia")
    return absl::FailedPreconditionError(absl::StrCat("compiled for ", target.kind(), ", and the device is ",
                                                      description_, ": compile it with --target ", backend_.target,
                                                      ":CHIP"));
  if (backend_.checkTarget)
    ORIEL_RETURN_IF_ERROR(backend_.checkTarget(target));
  auto modules = std::make_unique<LoadedModules>(session_, stem);
  bool isThere = backend_.runsHostCode ? std::filesystem::exists(stem + ".so") : plan.device_code_size() > 0;
  if (!isThere)
    return absl::FailedPreconditionError(
        absl::StrCat("the package has no ", backend_.runsHostCode ? stem + ".so" : "code for GPUs", ", which ",
                     description_, " runs: compile it with --target ", backend_.target, ":", target.chip()));
  if (absl::Status status = loadCode(plan, stem, *modules); !status.ok())
    return absl::FailedPreconditionError(
        absl::StrCat("compiled for ", target.chip(), ", which ", description_, " does not run: ", status.message()));
  return modules;
}

/// kernels.so, or of each kernel the first file that loads. The error of a kernel of which none does has all their reasons.
absl::Status DriverDevice::loadCode(const plan::Plan &plan, const std::string &stem, LoadedModules &modules) {
  if (backend_.runsHostCode)
    return modules.load(stem + ".so", "", "");
  std::map<std::string, std::vector<std::string>> reasons; // by symbol
  for (const plan::DeviceCode &code : plan.device_code()) {
    if (modules.has(code.symbol()))
      continue;
    std::string path = absl::StrCat(folderOf(stem), "/", code.file());
    if (absl::Status status = modules.load(path, code.symbol(), code.function()); !status.ok())
      reasons[code.symbol()].push_back(std::string(status.message()));
  }
  for (const auto &[symbol, ofKernel] : reasons)
    if (!modules.has(symbol))
      return absl::FailedPreconditionError(absl::StrJoin(ofKernel, "; "));
  return absl::OkStatus();
}

absl::Status DriverDevice::launch(PreparedLaunch &prepared, void *const *addresses) {
  auto &launch = static_cast<Launch &>(prepared);
  auto buffers = static_cast<size_t>(launch.spec.arguments);
  for (size_t i = 0; i < buffers; ++i)
    launch.parameters[i] = const_cast<void **>(addresses + i); // the driver reads an address from each
  for (size_t i = 0; i < launch.maps.size(); ++i)
    launch.parameters[buffers + i] = launch.maps.at(i); // and a map from each
  const Driver &driver = session_.enter();
  ORIEL_RETURN_IF_ERROR(session_.check(launch.maps.update(driver, addresses),
                                       absl::StrCat("views of the buffers of ", launch.spec.symbol)));
  auto size = [&](size_t dim) { return static_cast<unsigned>(launch.spec.grid[dim]); };
  return session_.check(driver.launchKernel(launch.function, size(0), size(1), size(2),
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
  ORIEL_RETURN_IF_ERROR(issued);
  ORIEL_RETURN_IF_ERROR(ended);
  return std::make_unique<GraphRecording>(exec);
}

} // namespace

absl::StatusOr<std::unique_ptr<SideStream>> openSideStream(runtime::Device &device) {
  return static_cast<DriverDevice &>(device).openSideStream();
}
absl::StatusOr<bool> isIdle(runtime::Device &device) { return static_cast<DriverDevice &>(device).isIdle(); }

absl::StatusOr<std::unique_ptr<runtime::Device>> createDriverDevice(Backend backend) {
  const Driver &driver = *backend.driver;
  ORIEL_RETURN_IF_ERROR(check(driver, driver.init(0), "start the NVIDIA driver"));
  Device device = 0;
  if (driver.deviceGet(&device, backend.ordinal) != success)
    return absl::NotFoundError(absl::StrCat("there is no NVIDIA GPU number ", backend.ordinal,
                                            ": nvidia-smi lists them, and CUDA_VISIBLE_DEVICES may hide some"));
  ORIEL_ASSIGN_OR_RETURN(std::string place, pciBusIdOf(driver, device));
  Context context = nullptr;
  Stream stream = nullptr;
  ORIEL_RETURN_IF_ERROR(check(driver, driver.devicePrimaryCtxRetain(&context, device), "open the GPU"));
  ORIEL_RETURN_IF_ERROR(check(driver, driver.ctxSetCurrent(context), "open the GPU"));
  ORIEL_RETURN_IF_ERROR(check(driver, driver.streamCreate(&stream, streamNonBlocking), "make a stream"));
  std::string description = absl::StrCat(backend.name, ": ", backend.model ? backend.model(place) : place);
  auto made = std::make_unique<DriverDevice>(std::move(backend), Session(driver, context), stream, description);
  ORIEL_RETURN_IF_ERROR(made->makeParts());
  return made;
}

} // namespace oriel::runtime::cuda
