// Where the measurements of this machine lie: a device descriptor and a tuning record (compiler/schedule/Device.h),
// which `oriel-tune calibrate` and `search` write. orielc uses them, and the cache of packages has their contents in
// its keys.
//
//   <folder>/<device>.device   <folder>/<device>.tuning        e.g. ~/.config/oriel/amd-epyc-x2.device
//
// The name of the device is in the files' names, so that machines of several kinds may share a home.
#ifndef ORIEL_RUNTIME_BASE_TUNINGFILES_H
#define ORIEL_RUNTIME_BASE_TUNINGFILES_H

#include <string>

namespace oriel::runtime {

/// This machine for the cost model: the CPU's name in small letters and its number of cores, "amd-epyc-9r14-x2".
std::string hostDeviceName();

struct TuningFiles {
  std::string device, record; // paths
};

/// Where this machine's files lie or would lie: in $ORIEL_TUNING_DIR, else $XDG_CONFIG_HOME/oriel, else
/// ~/.config/oriel. Both empty where there is no home.
TuningFiles tuningFilePlaces();
/// The same, with a path only where there is a file.
TuningFiles findTuningFiles();

} // namespace oriel::runtime

#endif
