// Ranks as processes under mpirun.
//
// Everything is made of non-blocking point-to-point messages, polled until a deadline: a collective of the library that
// has lost a peer would wait for ever, and would not say which. Messages above 1 GiB go in pieces. The sequence number
// is part of the message tag.
#ifndef ORIEL_RUNTIME_COMMUNICATOR_MPI_MPICOMMUNICATOR_H
#define ORIEL_RUNTIME_COMMUNICATOR_MPI_MPICOMMUNICATOR_H

#include "runtime/communicator/Communicator.h"

#include <memory>

namespace oriel::runtime {

/// MPI_COMM_WORLD; initialises MPI (threads: funneled, so all calls come from the thread that created it). Once per
/// process. The destructor finalises MPI if all ranks get there within 10 s and no operation has failed; otherwise it
/// leaves MPI as it is, and the process should end by _exit. FailedPrecondition in a build without MPI.
absl::StatusOr<std::unique_ptr<Communicator>> createMpiCommunicator();

} // namespace oriel::runtime

#endif
