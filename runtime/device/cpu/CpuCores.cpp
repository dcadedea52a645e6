// Affinity sets, and the division of a host among its ranks.
#include "runtime/device/cpu/CpuCores.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/MachineTopology.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

namespace oriel::runtime {

/// Under OMP_PROC_BIND the OpenMP library, which oneDNN brings, binds the first thread to one place before main()
/// starts; its list of places still tells all the cores that the process was given.
static void addOpenMpPlaces(cpu_set_t &set) {
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> cores(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, cores.data());
    for (int core : cores)
      if (core >= 0 && core < CPU_SETSIZE)
        CPU_SET(static_cast<size_t>(core), &set);
  }
}

std::vector<int> allowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    addOpenMpPlaces(set);
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  }
  if (cores.empty())
    cores.push_back(0);
  const MachineTopology *machine = MachineTopology::ofThisMachine();
  return machine ? machine->inOrder(std::move(cores)) : cores;
}

void bindThisThread(int core) { bindThisThread(std::vector<int>{core}); }

void bindThisThread(const std::vector<int> &cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores)
    if (core >= 0 && core < CPU_SETSIZE)
      CPU_SET(static_cast<size_t>(core), &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

std::string describeCores() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, ":", absl::StrJoin(allowedCores(), ","));
}

CpuOptions shareCores(const std::vector<std::string> &coresOfRanks, int rank) {
  const std::string &mine = coresOfRanks[rank];
  int sharing = static_cast<int>(std::count(coresOfRanks.begin(), coresOfRanks.end(), mine));
  int before = static_cast<int>(std::count(coresOfRanks.begin(), coresOfRanks.begin() + rank, mine));
  int cores = static_cast<int>(std::count(mine.begin(), mine.end(), ',')) + 1;
  CpuOptions options;
  options.threads = std::max(1, cores / sharing);
  options.firstCore = options.threads * sharing <= cores ? before * options.threads : -1;
  return options;
}

} // namespace oriel::runtime
