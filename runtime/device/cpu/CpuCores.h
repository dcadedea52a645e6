// The cores this process may use, and binding of OpenMP's worker threads to some of them.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUCORES_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUCORES_H

#include <vector>

namespace oriel::runtime {

/// Numbers of the cores in this process's affinity set, ascending; never empty.
std::vector<int> allowedCores();

/// Binds OpenMP's threads 1 … threads-1 of the calling thread's team to allowedCores()[firstCore + i]. The calling
/// thread itself stays free: threads it starts later would inherit the binding. Does nothing where OMP_PROC_BIND rules
/// or cores are missing.
void bindWorkers(int threads, int firstCore);

} // namespace oriel::runtime

#endif
