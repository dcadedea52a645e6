// A kernels.so as orielc writes it for the emulator, by hand: kernels that call through a table, and an entry for each.
#include "runtime/device/cuda/emulated/KernelObject.h"

using oriel::runtime::emulated::ImportEntry;
using oriel::runtime::emulated::KernelEntry;

extern "C" {

static ImportEntry imports[] = {{"orielEmulatedThread", nullptr},
                                {"orielEmulatedBlock", nullptr},
                                {"orielEmulatedShared", nullptr},
                                {"orielEmulatedBarrier", nullptr},
                                {nullptr, nullptr}};

static int thread() { return reinterpret_cast<int32_t (*)()>(imports[0].address)(); }
static int block(int dim) { return reinterpret_cast<int32_t (*)(int32_t)>(imports[1].address)(dim); }
static int *shared() { return reinterpret_cast<int *(*)()>(imports[2].address)(); }
static void barrier() { reinterpret_cast<void (*)()>(imports[3].address)(); }

/// out[block, t] = in[block, 63 - t] for blocks of 64 threads in a grid of [2, 3, 4], by way of shared memory.
static void reverse(void *const *arguments) {
  const int *in = static_cast<const int *>(arguments[0]);
  int *out = static_cast<int *>(arguments[1]);
  int first = ((block(2) * 3 + block(1)) * 2 + block(0)) * 64;
  shared()[thread()] = in[first + thread()];
  barrier();
  out[first + thread()] = shared()[63 - thread()];
}

/// The same without the barrier: wrong.
static void reverseUnordered(void *const *arguments) {
  const int *in = static_cast<const int *>(arguments[0]);
  int *out = static_cast<int *>(arguments[1]);
  int first = ((block(2) * 3 + block(1)) * 2 + block(0)) * 64;
  shared()[thread()] = in[first + thread()];
  out[first + thread()] = shared()[63 - thread()];
}

/// Writes one word behind the 256 bytes of shared memory, in block (1, 0, 0).
static void overflow(void *const *) {
  if (block(0) == 1 && thread() == 0)
    shared()[64] = 1;
}

extern const KernelEntry oriel_emulated_reverse = {"reverse", reverse, 2, 0, imports, nullptr};
extern const KernelEntry oriel_emulated_reverseUnordered = {"reverseUnordered", reverseUnordered, 2, 0, imports, nullptr};
extern const KernelEntry oriel_emulated_overflow = {"overflow", overflow, 0, 0, imports, nullptr};
}
