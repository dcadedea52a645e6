// Byte counts for people.
#ifndef ORIEL_RUNTIME_BASE_BYTES_H
#define ORIEL_RUNTIME_BASE_BYTES_H

#include <cstdint>
#include <string>

namespace oriel::runtime {

/// "512 B", "12.3 MiB": one decimal, units of 1024.
std::string formatBytes(uint64_t bytes);

} // namespace oriel::runtime

#endif
