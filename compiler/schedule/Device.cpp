#include "compiler/schedule/Device.h"
#include "compiler/schedule/TextReader.h"

#include <charconv>

namespace oriel::schedule {
namespace {

std::string text(double number) {
  char buffer[40];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr};
}

/// The next number, which must be above zero.
double readPositive(TextReader &in, std::string_view what) {
  double number = in.readNumber(what);
  if (!in.failed() && number <= 0)
    in.fail(std::string(what) + " must be above 0");
  return number;
}

double readPositiveField(TextReader &in, std::string_view word) {
  in.expect(word);
  return readPositive(in, word);
}

void readProduct(TextReader &in, DeviceDescriptor &device) {
  std::string dtype = in.readName("the dtype of the operands");
  ProductRate &rate = device.products[dtype];
  rate.flopsPerSecond = readPositiveField(in, "rate");
  in.expect("half");
  for (double *half : {&rate.halfM, &rate.halfN, &rate.halfK})
    *half = in.readNumber("the size at half the rate");
}

void readMultiprocessor(TextReader &in, MultiprocessorLimits &limits) {
  auto read = [&](std::string_view word, int64_t &limit) {
    in.expect(word);
    limit = in.readInteger(word);
    if (!in.failed() && limit <= 0)
      in.fail(std::string(word) + " must be above 0");
  };
  read("shared", limits.sharedBytes);
  read("registers", limits.registers);
  read("threads", limits.threads);
  read("blocks", limits.blocks);
}

void readDeviceLine(TextReader &in, DeviceDescriptor &device) {
  enum { Name, Cores, Cache, Multiprocessor, Memory, Transfer, Warpgroup, Launch, Product, Kernel };
  switch (in.readChoice({"device", "cores", "cache", "multiprocessor", "memory", "transfer", "warpgroup", "launch",
                         "product", "kernel"})) {
  case Name:
    device.name = in.readName("the name of the device");
    break;
  case Cores:
    device.cores = in.readInteger("the number of cores");
    break;
  case Cache:
    do {
      device.cacheBytes.push_back(in.readInteger("bytes of a cache"));
    } while (!in.failed() && !in.atEnd());
    break;
  case Multiprocessor:
    readMultiprocessor(in, device.multiprocessor.emplace());
    break;
  case Memory:
    device.memoryBytesPerSecond = readPositive(in, "bytes per second");
    break;
  case Transfer:
    device.transfer = {readPositiveField(in, "l2"), readPositiveField(in, "latency")};
    break;
  case Warpgroup:
    device.warpgroupFactor = readPositive(in, "the factor");
    break;
  case Launch:
    device.launchSeconds = in.readNumber("seconds per step");
    break;
  case Product:
    readProduct(in, device);
    break;
  case Kernel: {
    std::string family = in.readName("the family of kernels");
    device.kernels[family] = {readPositiveField(in, "flops"), readPositiveField(in, "bytes")};
    break;
  }
  }
}

} // namespace

std::string printDevice(const DeviceDescriptor &device) {
  std::string out = "device " + device.name + "\ncores " + std::to_string(device.cores) + "\n";
  if (!device.cacheBytes.empty())
    out += "cache";
  for (int64_t bytes : device.cacheBytes)
    out.append(" ").append(std::to_string(bytes));
  out += device.cacheBytes.empty() ? "" : "\n";
  if (const auto &limits = device.multiprocessor)
    out += "multiprocessor shared " + std::to_string(limits->sharedBytes) + " registers " +
           std::to_string(limits->registers) + " threads " + std::to_string(limits->threads) + " blocks " +
           std::to_string(limits->blocks) + "\n";
  out += "memory " + text(device.memoryBytesPerSecond) + "\n";
  if (const auto &transfer = device.transfer)
    out += "transfer l2 " + text(transfer->bytesPerSecond) + " latency " + text(transfer->latencySeconds) + "\n";
  if (device.warpgroupFactor != 1)
    out += "warpgroup " + text(device.warpgroupFactor) + "\n";
  out += "launch " + text(device.launchSeconds) + "\n";
  for (const auto &[dtype, rate] : device.products)
    out += "product " + dtype + " rate " + text(rate.flopsPerSecond) + " half " + text(rate.halfM) + " " +
           text(rate.halfN) + " " + text(rate.halfK) + "\n";
  for (const auto &[family, rate] : device.kernels)
    out += "kernel " + family + " flops " + text(rate.flopsPerSecond) + " bytes " + text(rate.bytesPerSecond) + "\n";
  return out;
}

std::optional<DeviceDescriptor> parseDevice(std::string_view text, const std::string &name, std::string &error) {
  TextReader in(text, name);
  DeviceDescriptor device;
  while (in.nextLine()) {
    readDeviceLine(in, device);
    in.expectEnd();
  }
  if (!in.failed() && (device.name.empty() || device.memoryBytesPerSecond <= 0 || device.products.empty()))
    in.fail("a descriptor needs the lines 'device', 'memory' and 'product'");
  error = in.error();
  return error.empty() ? std::optional(device) : std::nullopt;
}

std::string printRecord(const TuningRecord &record) {
  std::string out = "device " + record.device + "\n";
  for (const auto &[action, seconds] : record.seconds)
    out += "measured " + text(seconds) + " " + action + "\n";
  return out;
}

std::optional<TuningRecord> parseRecord(std::string_view text, const std::string &name, std::string &error) {
  TextReader in(text, name);
  TuningRecord record;
  while (in.nextLine()) {
    if (in.readChoice({"device", "measured"}) == 0) {
      record.device = in.readName("the name of the device");
    } else {
      double seconds = readPositive(in, "seconds");
      std::string action = in.readName("the action");
      while (!in.failed() && !in.atEnd())
        action.append(" ").append(in.readName("the action"));
      record.seconds[action] = seconds;
    }
    in.expectEnd();
  }
  error = in.error();
  return error.empty() ? std::optional(record) : std::nullopt;
}

} // namespace oriel::schedule
