// Where compiled packages, and what was found out while compiling, are kept between runs.
#ifndef ORIEL_RUNTIME_BASE_CACHEFOLDER_H
#define ORIEL_RUNTIME_BASE_CACHEFOLDER_H

#include <string>

namespace oriel::runtime {

/// $ORIEL_CACHE, else ~/.cache/oriel; empty where there is no home. It need not exist.
std::string cacheFolder();

} // namespace oriel::runtime

#endif
