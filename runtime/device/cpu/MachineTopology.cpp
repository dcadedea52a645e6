#include "runtime/device/cpu/MachineTopology.h"

#include <algorithm>
#include <hwloc.h>
#include <limits>

namespace oriel::runtime {

void MachineTopology::Destroy::operator()(hwloc_topology *topology) const { ::hwloc_topology_destroy(topology); }

/// With PCI devices, which hwloc leaves out unless it is asked for them.
MachineTopology::Handle MachineTopology::load(const std::string *xml) {
  hwloc_topology_t made = nullptr;
  if (::hwloc_topology_init(&made) != 0)
    return nullptr;
  Handle topology(made);
  ::hwloc_topology_set_type_filter(made, HWLOC_OBJ_PCI_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  bool known = !xml || ::hwloc_topology_set_xmlbuffer(made, xml->c_str(), static_cast<int>(xml->size()) + 1) == 0;
  return known && ::hwloc_topology_load(made) == 0 ? std::move(topology) : nullptr;
}

const MachineTopology *MachineTopology::ofThisMachine() {
  static const MachineTopology machine(load(nullptr)); // ends with the process
  return machine.topology_ ? &machine : nullptr;
}

absl::StatusOr<std::unique_ptr<MachineTopology>> MachineTopology::ofXml(const std::string &text) {
  Handle topology = load(&text);
  if (!topology)
    return absl::InvalidArgumentError("hwloc cannot read this topology");
  return std::unique_ptr<MachineTopology>(new MachineTopology(std::move(topology)));
}

std::vector<int> MachineTopology::inOrder(std::vector<int> cores) const {
  auto placeOf = [&](int core) {
    hwloc_obj_t unit = ::hwloc_get_pu_obj_by_os_index(topology_.get(), static_cast<unsigned>(core));
    return unit ? unit->logical_index : std::numeric_limits<unsigned>::max();
  };
  std::stable_sort(cores.begin(), cores.end(), [&](int a, int b) { return placeOf(a) < placeOf(b); });
  return cores;
}

std::vector<int> MachineTopology::coresNear(const std::string &pciBusId) const {
  hwloc_obj_t device = ::hwloc_get_pcidev_by_busidstring(topology_.get(), pciBusId.c_str());
  hwloc_obj_t near = device ? ::hwloc_get_non_io_ancestor_obj(topology_.get(), device) : nullptr;
  std::vector<int> cores;
  if (!near || !near->parent)
    return cores;
  unsigned core = 0;
  hwloc_bitmap_foreach_begin(core, near->cpuset) cores.push_back(static_cast<int>(core));
  hwloc_bitmap_foreach_end();
  return cores;
}

} // namespace oriel::runtime
