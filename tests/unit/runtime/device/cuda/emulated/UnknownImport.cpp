// A kernels.so of a newer compiler: it calls what this emulator does not have.
#include "runtime/device/cuda/emulated/KernelObject.h"

extern "C" {
oriel::runtime::emulated::ImportEntry oriel_emulated_imports[] = {{"orielEmulatedTeleport", nullptr},
                                                                  {nullptr, nullptr}};
extern const oriel::runtime::emulated::KernelEntry oriel_emulated_kernels[] = {{nullptr, nullptr, 0}};
}
