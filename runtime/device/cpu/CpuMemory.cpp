// mmap, with the start moved to a huge-page boundary. Scratch pads of some hundred kilobytes get a huge page too: in
// small ones, places that the second cache must hold together may fall on the same sets, and the first TLB does not
// reach.
#include "runtime/device/cpu/CpuMemory.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <sys/mman.h>

namespace oriel::runtime {

namespace {

constexpr size_t pageBytes = 4096;
constexpr size_t hugePageBytes = size_t(2) << 20;
constexpr size_t smallestHuge = size_t(128) << 10; // a block that is worth a huge page

class CpuMemory final : public DeviceMemory {
public:
  CpuMemory(void *mapping, size_t mappedBytes, std::byte *data, size_t bytes)
      : mapping_(mapping), mappedBytes_(mappedBytes), data_(data), bytes_(bytes) {}
  ~CpuMemory() override { ::munmap(mapping_, mappedBytes_); }
  std::byte *data() const override { return data_; }
  size_t bytes() const override { return bytes_; }
  bool hostVisible() const override { return true; }

private:
  void *mapping_;
  size_t mappedBytes_;
  std::byte *data_;
  size_t bytes_;
};

} // namespace

absl::StatusOr<std::unique_ptr<DeviceMemory>> allocateCpuMemory(size_t bytes) {
  size_t alignment = bytes >= smallestHuge ? hugePageBytes : pageBytes;
  size_t mappedBytes = (std::max<size_t>(bytes, 1) + alignment - 1) / alignment * alignment + alignment;
  void *mapping = mappedBytes < bytes
                      ? MAP_FAILED
                      : ::mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("no room for ", bytes, " bytes of memory"));
  auto start = reinterpret_cast<uintptr_t>(mapping);
  auto *data = reinterpret_cast<std::byte *>((start + alignment - 1) / alignment * alignment);
  if (alignment == hugePageBytes)
    ::madvise(data, mappedBytes - alignment, MADV_HUGEPAGE); // advice only: refusal costs speed, nothing else
  return std::make_unique<CpuMemory>(mapping, mappedBytes, data, bytes);
}

} // namespace oriel::runtime
