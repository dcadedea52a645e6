// Collectives on device memory as a communicator, for the suite: data goes to an emulated GPU and back.
#ifndef ORIEL_TESTS_CONFORMANCE_COMMUNICATOR_DEVICECOMMUNICATOR_H
#define ORIEL_TESTS_CONFORMANCE_COMMUNICATOR_DEVICECOMMUNICATOR_H

#include "runtime/communicator/Communicator.h"

#include <memory>

namespace oriel::runtime {

/// NCCL's mock between the ranks of `host`, which carries what NCCL is not used for and outlives it.
absl::StatusOr<std::unique_ptr<Communicator>> createDeviceCommunicator(Communicator &host);

} // namespace oriel::runtime

#endif
