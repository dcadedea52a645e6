// Creates the one block of memory and the prepared entry points; hands out spans; runs.
#include "runtime/executor/Executor.h"

#include "runtime/base/Status.h"
#include "runtime/executor/PreparedEntry.h"
#include "runtime/memory/MemoryLayout.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

#include <optional>
#include <vector>

namespace oriel::runtime {

namespace {
constexpr double defaultCollectiveSeconds = 120;
} // namespace

struct Executor::Impl {
  std::shared_ptr<const Package> package;
  Device *device = nullptr;
  Communicator *communicator = nullptr;
  MemoryLayout layout;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<KernelLibrary> kernels;
  std::vector<std::unique_ptr<DeviceMemory>>
      views; // of each buffer, null until asked for; none where the host sees memory
  absl::flat_hash_map<std::string, int> buffers;
  struct Entry {
    PreparedEntry prepared;
    std::vector<int> inputs, outputs; // buffers that run() moves
  };
  absl::flat_hash_map<std::string, Entry> entries;
  double collectiveSeconds = defaultCollectiveSeconds;
  std::optional<Exchange> exchange; // ends before the memory
  StepHook hook;

  absl::Status allocate();
  absl::Status prepare();
  std::vector<int> indicesOf(const google::protobuf::RepeatedPtrField<std::string> &names) const;

  std::byte *placeOf(int buffer) const { return memory->data() + layout.offsets[static_cast<size_t>(buffer)]; }
  /// Issue the copies; a buffer that the host never asked for is left out.
  absl::Status toDevice(int buffer);
  absl::Status toHost(int buffer);
  absl::StatusOr<std::byte *> viewOf(int buffer);
  ByteRange rangeOf(int buffer) const {
    return {placeOf(buffer), placeOf(buffer) + package->plan().buffers(buffer).bytes()};
  }
  absl::Status settle();
  absl::Status run(Entry &entry, int64_t slot);
};

absl::Status Executor::Impl::toDevice(int buffer) {
  const std::unique_ptr<DeviceMemory> &view = views[static_cast<size_t>(buffer)];
  ORIEL_RETURN_IF_ERROR(exchange->await(rangeOf(buffer)));
  return view ? device->copy(placeOf(buffer), view->data(), view->bytes()) : absl::OkStatus();
}

absl::Status Executor::Impl::toHost(int buffer) {
  const std::unique_ptr<DeviceMemory> &view = views[static_cast<size_t>(buffer)];
  ORIEL_RETURN_IF_ERROR(exchange->await(rangeOf(buffer)));
  return view ? device->copy(view->data(), placeOf(buffer), view->bytes()) : absl::OkStatus();
}

absl::Status Executor::Impl::settle() { return exchange->settle(Deadline::after(collectiveSeconds)); }

absl::StatusOr<std::byte *> Executor::Impl::viewOf(int buffer) {
  if (memory->hostVisible())
    return placeOf(buffer);
  std::unique_ptr<DeviceMemory> &view = views[static_cast<size_t>(buffer)];
  if (!view) {
    ORIEL_ASSIGN_OR_RETURN(view, device->allocate(package->plan().buffers(buffer).bytes(), MemoryUse::Staging));
    ORIEL_RETURN_IF_ERROR(toHost(buffer));
    ORIEL_RETURN_IF_ERROR(settle());
  }
  return view->data();
}

absl::Status Executor::Impl::allocate() {
  const plan::Plan &plan = package->plan();
  layout = MemoryLayout::of(plan);
  auto block = device->allocate(layout.totalBytes);
  ORIEL_RETURN_IF_ERROR(withContext(block.status(), layout.describe()));
  memory = std::move(*block);
  for (int i = 0; i < plan.buffers_size(); ++i) {
    const plan::Buffer &buffer = plan.buffers(i);
    buffers[buffer.name()] = i;
    if (buffer.placement() == plan::CONSTANT)
      ORIEL_RETURN_IF_ERROR(device->copy(memory->data() + layout.offsets[i],
                                         package->constants().data() + buffer.offset(), buffer.bytes()));
  }
  views.resize(static_cast<size_t>(plan.buffers_size()));
  return device->synchronize();
}

std::vector<int> Executor::Impl::indicesOf(const google::protobuf::RepeatedPtrField<std::string> &names) const {
  std::vector<int> indices;
  for (const std::string &name : names)
    indices.push_back(buffers.at(name));
  return indices;
}

absl::Status Executor::Impl::prepare() {
  if (!package->kernelsStem().empty()) {
    ORIEL_ASSIGN_OR_RETURN(kernels, device->loadKernels(package->plan(), package->kernelsStem()));
  }
  exchange.emplace(*device);
  PrepareContext context{package->plan(),
                         layout,
                         memory->data(),
                         *device,
                         communicator->rank(),
                         kernels.get(),
                         memory->hostVisible(),
                         communicator->size(),
                         *exchange};
  for (const plan::EntryPoint &entry : package->plan().entry_points()) {
    ORIEL_ASSIGN_OR_RETURN(PreparedEntry prepared, PreparedEntry::create(entry, context));
    entries.emplace(entry.name(), Entry{std::move(prepared), indicesOf(entry.inputs()), indicesOf(entry.outputs())});
  }
  for (auto &[name, entry] : entries)
    entry.prepared.divide(*exchange);
  return absl::OkStatus();
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;

absl::StatusOr<std::unique_ptr<Executor>> Executor::create(std::shared_ptr<const Package> package, Device &device,
                                                           Communicator &communicator) {
  if (int64_t world = worldOf(package->plan()); world != communicator.size())
    return absl::FailedPreconditionError(
        absl::StrCat(package->folder(), ": compiled for ", world, " ranks, and there are ", communicator.size()));
  auto impl = std::make_unique<Impl>();
  impl->package = std::move(package);
  impl->device = &device;
  impl->communicator = &communicator;
  ORIEL_RETURN_IF_ERROR(withContext(impl->allocate(), impl->package->folder()));
  ORIEL_RETURN_IF_ERROR(withContext(impl->prepare(), impl->package->folder()));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

const plan::Plan &Executor::plan() const { return impl_->package->plan(); }

bool Executor::hasEntry(absl::string_view name) const { return impl_->entries.contains(name); }
bool Executor::hasBuffer(absl::string_view name) const { return impl_->buffers.contains(name); }

absl::StatusOr<absl::Span<std::byte>> Executor::bufferBytes(absl::string_view name) {
  auto it = impl_->buffers.find(name);
  if (it == impl_->buffers.end())
    return absl::NotFoundError(absl::StrCat("the plan has no buffer '", name, "'"));
  const plan::Buffer &buffer = plan().buffers(it->second);
  if (buffer.placement() == plan::ARENA)
    return absl::FailedPreconditionError(absl::StrCat("buffer '", name, "' lives only while an entry point runs"));
  ORIEL_ASSIGN_OR_RETURN(std::byte * view, impl_->viewOf(it->second));
  return absl::Span<std::byte>(view, buffer.bytes());
}

absl::Status Executor::readState(absl::string_view name) {
  ORIEL_RETURN_IF_ERROR(bufferBytes(name).status());
  ORIEL_RETURN_IF_ERROR(impl_->toHost(impl_->buffers.at(name)));
  return impl_->settle();
}

absl::Status Executor::writeState(absl::string_view name) {
  ORIEL_RETURN_IF_ERROR(bufferBytes(name).status());
  ORIEL_RETURN_IF_ERROR(impl_->toDevice(impl_->buffers.at(name)));
  return impl_->settle();
}

absl::StatusOr<absl::Span<std::byte>> Executor::typedBuffer(absl::string_view name, DType dtype) {
  ORIEL_ASSIGN_OR_RETURN(absl::Span<std::byte> bytes, bufferBytes(name));
  const plan::Buffer &buffer = plan().buffers(impl_->buffers.at(name));
  ORIEL_ASSIGN_OR_RETURN(DType actual, toDType(buffer.dtype()));
  if (actual != dtype)
    return absl::InvalidArgumentError(
        absl::StrCat("buffer '", name, "' holds ", nameOf(actual), ", not ", nameOf(dtype)));
  if (buffer.slot_bytes() > 0)
    return bytes;
  uint64_t elements = 1;
  for (int64_t size : buffer.shape())
    elements *= static_cast<uint64_t>(size);
  return bytes.subspan(0, elements * bytesOf(dtype));
}

absl::Status Executor::Impl::run(Entry &entry, int64_t slot) {
  for (int input : entry.inputs)
    ORIEL_RETURN_IF_ERROR(toDevice(input));
  ORIEL_RETURN_IF_ERROR(entry.prepared.run(slot, {*device, *communicator, *exchange, collectiveSeconds, hook}));
  for (int output : entry.outputs)
    ORIEL_RETURN_IF_ERROR(toHost(output));
  return withContext(settle(), entry.prepared.entry().name());
}

absl::Status Executor::run(absl::string_view entry, int64_t slot) {
  auto it = impl_->entries.find(entry);
  if (it == impl_->entries.end())
    return absl::NotFoundError(absl::StrCat("the plan has no entry '", entry, "'"));
  return impl_->run(it->second, slot);
}

void Executor::setDeviceCollectives(DeviceCollectives *collectives) { impl_->exchange->use(collectives); }

void Executor::setCollectiveTimeout(double seconds) { impl_->collectiveSeconds = seconds; }

void Executor::setStepHook(StepHook hook) {
  impl_->exchange->setHook(hook, Deadline::after(impl_->collectiveSeconds));
  impl_->hook = std::move(hook);
}

uint64_t Executor::memoryBytes() const { return impl_->layout.totalBytes; }

} // namespace oriel::runtime
