// Affinity sets, and the division of a host among its ranks.
#include "runtime/device/cpu/CpuCores.h"

#include "runtime/device/cpu/CpuDevice.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <sched.h>
#include <unistd.h>

namespace oriel::runtime {

std::vector<int> allowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  if (cores.empty())
    cores.push_back(0);
  return cores;
}

void bindThisThread(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
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
