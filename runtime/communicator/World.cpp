// Chooses the communicator of the job.
#include "runtime/communicator/Communicator.h"
#include "runtime/communicator/local/LocalCommunicator.h"
#include "runtime/communicator/mpi/MpiCommunicator.h"

#include <cstdlib>

namespace oriel::runtime {

bool launchedByMpi() {
  for (const char *variable : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"})
    if (std::getenv(variable))
      return true;
  return false;
}

absl::StatusOr<std::unique_ptr<Communicator>> createWorldCommunicator() {
  if (launchedByMpi())
    return createMpiCommunicator();
  return std::move(createLocalGroup(1).front());
}

} // namespace oriel::runtime
