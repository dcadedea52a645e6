// Private to this folder: the one place where absl::Status and grpc::Status meet. Their codes have the same numbers.
#pragma once

#include "absl/status/status.h"

#include <grpc/support/log.h>
#include <grpcpp/support/status.h>

namespace oriel::runtime {

inline grpc::Status toGrpc(const absl::Status &status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

inline absl::Status fromGrpc(const grpc::Status &status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// gRPC prints its own account of errors to stderr; ours reach the caller as a Status, once.
inline void silenceGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args *) {});
}

} // namespace oriel::runtime
