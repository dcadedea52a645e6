// Handles are objects of this file; work is a queue of functions per stream (StreamQueues.h).
#include "runtime/device/cuda/emulated/EmulatedDriver.h"

#include "runtime/device/cuda/emulated/TensorMap.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include <sys/mman.h>

namespace oriel::runtime::cuda {

/// What a stream does when it gets there; returns "" or what went wrong.
using Work = std::function<std::string(Context)>;

struct Context_ {
  emulated::GridRunner runner;
  emulated::ReportSink report;
  std::map<Address, size_t> allocations; // start, bytes
  emulated::StreamQueues queues;

  explicit Context_(const emulated::EmulatorOptions &options)
      : runner(options.threads, options.seed), report(options.report), queues(options.seed) {}
  void protect(int protection) {
    for (auto [address, bytes] : allocations)
      ::mprotect(reinterpret_cast<void *>(address), bytes, protection);
  }
  /// Whether [address, address + bytes) is memory of the host, or lies inside one allocation.
  bool covers(Address address, size_t bytes) const {
    auto next = allocations.upper_bound(address);
    if (next != allocations.end() && next->first - address < bytes)
      return false;
    if (next == allocations.begin())
      return true;
    auto [start, size] = *std::prev(next);
    return address >= start + size || bytes <= start + size - address;
  }
};

struct Function_ {
  const emulated::KernelEntry *entry;
  int64_t mostSharedBytes = 48 * 1024; // until funcSetAttribute
};

struct Module_ {
  std::unique_ptr<emulated::KernelObject> object;
  std::map<std::string, Function_> functions;
};

struct Graph_ {
  std::vector<Work> work;
};

struct GraphExec_ {
  std::shared_ptr<const std::vector<Work>> work;
};

struct Stream_ {
  Context context;
  emulated::StreamQueues::Queue &queue;
  std::unique_ptr<Graph_> captured; // while capturing
};

/// How often it was recorded, and how many of these the streams have come to.
struct Event_ {
  uint64_t recorded = 0, reached = 0;
};

} // namespace oriel::runtime::cuda

namespace oriel::runtime::emulated {

namespace {

using namespace cuda;

std::mutex optionsMutex;
EmulatorOptions nextOptions;
thread_local Context current = nullptr;
thread_local std::string lastFault;

Result add(Stream stream, Work work) {
  if (!stream)
    return invalidHandle;
  if (!stream->context->queues.fault().empty())
    return launchFailed;
  if (stream->captured)
    stream->captured->work.push_back(std::move(work));
  else
    stream->queue.push_back([work = std::move(work), context = stream->context] { return work(context); });
  return success;
}

Result init(unsigned) { return success; }

Result deviceGet(cuda::Device *device, int ordinal) { return ordinal == 0 ? (*device = 0, success) : invalidValue; }

Result deviceGetPciBusId(char *id, int bytes, cuda::Device) {
  std::snprintf(id, static_cast<size_t>(bytes), "0000:00:00.0");
  return success;
}

Result deviceCanAccessPeer(int *, cuda::Device, cuda::Device) { return invalidDevice; }

Result devicePrimaryCtxRetain(Context *context, cuda::Device) {
  static auto &all = *new std::vector<std::unique_ptr<Context_>>(); // as long as the process, like the driver's
  std::lock_guard lock(optionsMutex);
  all.push_back(std::make_unique<Context_>(nextOptions));
  *context = all.back().get();
  return success;
}

Result ctxSetCurrent(Context context) {
  current = context;
  return success;
}

Result moduleLoad(Module *module, const char *path) {
  auto object = KernelObject::load(path);
  if (!object.ok()) {
    lastFault = std::string(object.status().message());
    return noBinaryForGpu;
  }
  *module = new Module_{std::move(*object), {}};
  return success;
}

Result moduleUnload(Module module) {
  delete module;
  return success;
}

Result moduleGetFunction(Function *function, Module module, const char *name) {
  auto entry = module->object->find(name);
  if (absl::IsNotFound(entry.status()))
    return notFound;
  if (!entry.ok()) {
    lastFault = std::string(entry.status().message());
    return noBinaryForGpu;
  }
  *function = &module->functions.try_emplace(name, Function_{*entry}).first->second;
  return success;
}

Result funcSetAttribute(Function function, int attribute, int value) {
  if (attribute != attributeDynamicSharedBytes || value < 0 || value > 227 * 1024)
    return invalidValue;
  function->mostSharedBytes = value;
  return success;
}

/// What a launch takes from its parameters when it is issued. Pointers to maps point in here.
struct LaunchArguments {
  std::vector<TensorMap> maps;
  std::vector<void *> pointers;
};

std::shared_ptr<const LaunchArguments> copyArguments(const KernelEntry &kernel, void *const *parameters) {
  auto copied = std::make_shared<LaunchArguments>();
  copied->maps.resize(static_cast<size_t>(kernel.tensorMapCount));
  for (int64_t i = 0; i < kernel.argumentCount - kernel.tensorMapCount; ++i)
    copied->pointers.push_back(*static_cast<void *const *>(parameters[i]));
  for (TensorMap &map : copied->maps) {
    std::memcpy(&map, parameters[copied->pointers.size()], sizeof(map));
    copied->pointers.push_back(&map);
  }
  return copied;
}

Result launchKernel(Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned threadsX,
                    unsigned threadsY, unsigned threadsZ, unsigned sharedBytes, Stream stream, void **parameters,
                    void **extra) {
  if (threadsY != 1 || threadsZ != 1 || extra || sharedBytes > function->mostSharedBytes)
    return invalidValue;
  LaunchShape shape{{gridX, gridY, gridZ}, threadsX, sharedBytes};
  return add(stream, [function, arguments = copyArguments(*function->entry, parameters), shape](Context context) {
    LaunchReport report;
    absl::Status status =
        context->runner.run(*function->entry, arguments->pointers.data(), shape, &report);
    if (function->entry->checks && context->report)
      context->report(report);
    return std::string(status.message());
  });
}

Result memAlloc(Address *address, size_t bytes) {
  if (!current)
    return invalidContext;
  if (bytes == 0)
    return invalidValue;
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return outOfMemory;
  std::memset(memory, 0xff, bytes);
  ::mprotect(memory, bytes, PROT_NONE);
  *address = reinterpret_cast<Address>(memory);
  current->allocations[*address] = bytes;
  return success;
}

Result memFree(Address address) {
  auto found = current ? current->allocations.find(address) : std::map<Address, size_t>::iterator();
  if (!current || found == current->allocations.end())
    return invalidValue;
  ::munmap(reinterpret_cast<void *>(address), found->second);
  current->allocations.erase(found);
  return success;
}

Result memcpyAsync(Address target, Address source, size_t bytes, Stream stream) {
  if (stream && (!stream->context->covers(target, bytes) || !stream->context->covers(source, bytes)))
    return invalidValue;
  return add(stream, [target, source, bytes](Context) {
    std::memmove(reinterpret_cast<void *>(target), reinterpret_cast<const void *>(source), bytes);
    return std::string();
  });
}

/// Streams, events, graphs and pinned memory end with the process, like the driver's.
template <typename T> T *keep(std::unique_ptr<T> object) {
  static auto &all = *new std::vector<std::unique_ptr<T>>();
  std::lock_guard lock(optionsMutex);
  return all.emplace_back(std::move(object)).get();
}

Result memHostAlloc(void **memory, size_t bytes, unsigned) {
  if (!current)
    return invalidContext;
  void *mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED)
    return outOfMemory;
  *memory = mapped;
  return success;
}

Result streamCreate(Stream *stream, unsigned) {
  if (!current)
    return invalidContext;
  *stream = keep(std::unique_ptr<Stream_>(new Stream_{current, current->queues.open(), nullptr}));
  return success;
}

/// Waits a millisecond for what comes from outside before it says that the stream is not ready: whoever is waited for
/// may need this core, and opening and closing the memory costs more than the asking.
Result streamQuery(Stream stream) {
  if (stream->captured)
    return captureUnsupported;
  Context context = stream->context;
  context->protect(PROT_READ | PROT_WRITE);
  context->queues.run(stream->queue);
  for (int tries = 0; tries < 20 && !stream->queue.empty(); ++tries) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    context->queues.run(stream->queue);
  }
  context->protect(PROT_NONE);
  lastFault = context->queues.fault();
  if (!lastFault.empty())
    return launchFailed;
  return stream->queue.empty() ? success : notReady;
}

Result eventCreate(Event *event, unsigned) {
  *event = keep(std::make_unique<Event_>());
  return success;
}

Result eventRecord(Event event, Stream stream) {
  if (stream->captured)
    return captureUnsupported;
  return add(stream, [event, count = ++event->recorded](Context) {
    event->reached = std::max(event->reached, count);
    return std::string();
  });
}

Result streamWaitEvent(Stream stream, Event event, unsigned) {
  if (stream->captured)
    return captureUnsupported;
  return add(stream, [event, count = event->recorded](Context) {
    return std::string(event->reached < count ? stillWaiting : "");
  });
}

Result streamBeginCapture(Stream stream, int) {
  if (stream->captured)
    return captureUnsupported;
  stream->captured = std::make_unique<Graph_>();
  return success;
}

Result streamEndCapture(Stream stream, Graph *graph) {
  if (!stream->captured)
    return invalidValue;
  *graph = keep(std::move(stream->captured));
  return success;
}

Result graphInstantiate(GraphExec *exec, Graph graph, unsigned long long) {
  *exec = keep(std::make_unique<GraphExec_>(GraphExec_{std::make_shared<const std::vector<Work>>(graph->work)}));
  return success;
}

Result graphLaunch(GraphExec exec, Stream stream) {
  if (stream->captured)
    return captureUnsupported;
  return add(stream, [all = exec->work](Context context) {
    std::string fault;
    for (size_t i = 0; i < all->size() && fault.empty(); ++i)
      fault = (*all)[i](context);
    return fault;
  });
}

} // namespace

cuda::Result enqueueHostWork(Stream stream, HostWork work) {
  return add(stream, [work = std::move(work)](Context context) { return work(context->runner.pool()); });
}

const Driver &emulatedDriver(const EmulatorOptions &options) {
  static const Driver driver = {init,
                                deviceGet,
                                deviceGetPciBusId,
                                deviceCanAccessPeer,
                                devicePrimaryCtxRetain,
                                ctxSetCurrent,
                                moduleLoad,
                                moduleUnload,
                                moduleGetFunction,
                                funcSetAttribute,
                                launchKernel,
                                encodeTensorMap,
                                memAlloc,
                                memFree,
                                memHostAlloc,
                                memcpyAsync,
                                streamCreate,
                                streamQuery,
                                streamBeginCapture,
                                streamEndCapture,
                                eventCreate,
                                eventRecord,
                                streamWaitEvent,
                                graphInstantiate,
                                graphLaunch,
                                [] { return lastFault.c_str(); }};
  std::lock_guard lock(optionsMutex);
  nextOptions = options;
  return driver;
}

} // namespace oriel::runtime::emulated
