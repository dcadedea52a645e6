// Ranks as threads of one process: the group of one that a run without mpirun uses, and larger groups for tests.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_LOCAL_LOCALCOMMUNICATOR_H
#define ORIEL_RUNTIME_COMMUNICATOR_LOCAL_LOCALCOMMUNICATOR_H

#include "runtime/communicator/Communicator.h"

#include <memory>
#include <vector>

namespace oriel::runtime {

/// A group of `size` >= 1 communicators, one for each thread. They share the group and may be destroyed in any order.
/// Calls that do not agree between ranks (another op or size) fail with FailedPrecondition on all of them.
std::vector<std::unique_ptr<Communicator>> createLocalGroup(int size);

} // namespace oriel::runtime

#endif
