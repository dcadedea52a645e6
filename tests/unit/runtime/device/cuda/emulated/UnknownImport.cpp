// A kernels.so of a newer compiler: it calls what this emulator does not have.
#include "runtime/device/cuda/emulated/KernelObject.h"

extern "C" {
static oriel::runtime::emulated::ImportEntry imports[] = {{"orielEmulatedTeleport", nullptr}, {nullptr, nullptr}};
extern const oriel::runtime::emulated::KernelEntry oriel_emulated_teleport = {"teleport", nullptr, 0, 0, imports, nullptr};
}
