// Order of cores and cores near a GPU, on machines that are made up.
#include "runtime/device/cpu/MachineTopology.h"

#include "runtime/device/cpu/CpuCores.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>

namespace oriel::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The text of hwloc's XML for two sockets with a NUMA node, two cores of two threads, and a GPU each; as most systems
/// do, this one numbers first threads first: socket 0 has cores {0, 4} and {1, 5}, socket 1 {2, 6} and {3, 7}. A third
/// GPU hangs on no socket.
class TwoSockets {
public:
  std::string text() {
    std::string sockets;
    for (unsigned socket : {0, 1}) {
      unsigned first = 2 * socket, all = 0x33u << first;
      std::string within = object("NUMANode", socket, all, socket, "");
      for (unsigned core : {first, first + 1})
        within += object("Core", core, 0x11u << core, socket,
                         object("PU", core, 1u << core, socket, "") + object("PU", core + 4, 16u << core, socket, ""));
      sockets += object("Package", socket, all, socket, within + gpu(socket == 0 ? "1b" : "9d"));
    }
    return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n",
                        "<topology version=\"2.0\">", object("Machine", 0, 0xff, 2, sockets + gpu("c1")),
                        "</topology>\n");
  }

private:
  /// `socket` 2 stands for both.
  std::string object(const char *type, unsigned number, unsigned cores, unsigned socket, const std::string &within) {
    std::string attributes = absl::StrCat("type=\"", type, "\" os_index=\"", number, "\" gp_index=\"", ++made_, "\"");
    for (const char *name : {"cpuset", "complete_cpuset", "allowed_cpuset"})
      if (*name != 'a' || socket == 2)
        absl::StrAppend(&attributes, " ", name, "=\"0x", absl::Hex(cores, absl::kZeroPad8), "\"");
    for (const char *name : {"nodeset", "complete_nodeset", "allowed_nodeset"})
      if (*name != 'a' || socket == 2)
        absl::StrAppend(&attributes, " ", name, "=\"0x", absl::Hex(socket + 1, absl::kZeroPad8), "\"");
    return absl::StrCat("<object ", attributes, ">", within, "</object>\n");
  }
  std::string gpu(const char *bus) {
    std::string bridge = absl::StrCat("<object type=\"Bridge\" gp_index=\"", ++made_,
                                      "\" bridge_type=\"0-1\" depth=\"0\" bridge_pci=\"0000:[", bus, "-", bus, "]\">");
    return absl::StrCat(bridge, "<object type=\"PCIDev\" gp_index=\"", ++made_, "\" pci_busid=\"0000:", bus,
                        ":00.0\" pci_type=\"0302 [10de:2330] [10de:16c1] a1\" pci_link_speed=\"0.0\"/></object>\n");
  }

  int made_ = 0;
};

TEST(MachineTopology, ThreadsOfACoreStandTogether) {
  auto machine = MachineTopology::ofXml(TwoSockets().text());
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_THAT((*machine)->inOrder({0, 1, 2, 3, 4, 5, 6, 7}), ElementsAre(0, 4, 1, 5, 2, 6, 3, 7));
  EXPECT_THAT((*machine)->inOrder({1, 2, 5, 99}), ElementsAre(1, 5, 2, 99));
}

TEST(MachineTopology, CoresNearAGpuAreThoseOfItsSocket) {
  auto machine = MachineTopology::ofXml(TwoSockets().text());
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_THAT((*machine)->coresNear("0000:1b:00.0"), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT((*machine)->coresNear("0000:9d:00.0"), ElementsAre(2, 3, 6, 7));
}

TEST(MachineTopology, NoCoresAreNearWhatIsNotThereOrBesideAll) {
  auto machine = MachineTopology::ofXml(TwoSockets().text());
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_THAT((*machine)->coresNear("0000:c1:00.0"), IsEmpty());
  EXPECT_THAT((*machine)->coresNear("0000:2c:00.0"), IsEmpty());
  EXPECT_THAT((*machine)->coresNear("GPU-8a6e5b1c"), IsEmpty());
}

TEST(MachineTopology, RefusesWhatIsNoTopology) {
  EXPECT_EQ(MachineTopology::ofXml("<topology").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MachineTopology, OrdersTheCoresOfThisProcess) {
  const MachineTopology *machine = MachineTopology::ofThisMachine();
  ASSERT_TRUE(machine);
  std::vector<int> cores = allowedCores(), sorted = cores;
  EXPECT_EQ(machine->inOrder(cores), cores);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
}

} // namespace
} // namespace oriel::runtime
