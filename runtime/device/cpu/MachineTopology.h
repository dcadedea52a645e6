// Which cores of a machine lie beside which, and beside which GPU: hwloc's view of it.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_MACHINETOPOLOGY_H
#define ORIEL_RUNTIME_DEVICE_CPU_MACHINETOPOLOGY_H

#include "absl/status/statusor.h"

#include <memory>
#include <string>
#include <vector>

struct hwloc_topology;

namespace oriel::runtime {

/// Cores are what the system numbers: the hardware threads of a core are cores of their own. Thread safe.
class MachineTopology {
public:
  /// Looked at once, which takes about ten milliseconds. Null where hwloc cannot.
  static const MachineTopology *ofThisMachine();
  /// From a file that `lstopo --of xml` wrote, for tests. InvalidArgument when it is none.
  static absl::StatusOr<std::unique_ptr<MachineTopology>> ofXml(const std::string &text);

  /// `cores` so that neighbours share most: the threads of one core stand together, then the cores of one cache, of one
  /// NUMA node, of one socket. Those that the machine does not have come last.
  std::vector<int> inOrder(std::vector<int> cores) const;

  /// The cores of the NUMA nodes, or whatever is smallest, that the PCI device hangs on ("0000:1b:00.0"), ascending.
  /// Empty where there is no such device, or it hangs on the whole machine.
  std::vector<int> coresNear(const std::string &pciBusId) const;

private:
  struct Destroy {
    void operator()(hwloc_topology *topology) const;
  };
  using Handle = std::unique_ptr<hwloc_topology, Destroy>;
  explicit MachineTopology(Handle topology) : topology_(std::move(topology)) {}
  /// `xml` null: this machine.
  static Handle load(const std::string *xml);

  Handle topology_;
};

} // namespace oriel::runtime

#endif
