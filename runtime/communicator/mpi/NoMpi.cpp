// Stands in for MpiCommunicator.cpp where CMake found no MPI.
#include "runtime/communicator/mpi/MpiCommunicator.h"

namespace oriel::runtime {

absl::StatusOr<std::unique_ptr<Communicator>> createMpiCommunicator() {
  return absl::FailedPreconditionError("this oriel was built without MPI and cannot run under mpirun; install "
                                       "libopenmpi-dev and build again, or start it without mpirun");
}

} // namespace oriel::runtime
