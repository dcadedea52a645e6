// The cores this process may use, and binding of threads to them.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUCORES_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUCORES_H

#include <vector>

namespace oriel::runtime {

/// Numbers of the cores in this process's affinity set, never none, in the order of MachineTopology.h: a rank that
/// takes a stretch of them has whole cores with all their threads, in as few caches and NUMA nodes as can be.
std::vector<int> allowedCores();

/// Binds the calling thread, and those that it starts later, to one core or to some; advice, so failure is ignored.
void bindThisThread(int core);
void bindThisThread(const std::vector<int> &cores);

} // namespace oriel::runtime

#endif
