// How errors travel below the wall: absl::Status and absl::StatusOr, passed on by two macros. No exceptions.
//
// A message names what failed, with which values, on which rank, op and step. `withContext` puts the outer place in
// front of an inner message: "plan.pb: buffer 3 'loss': offset 12 is not a multiple of 64".
#ifndef ORIEL_RUNTIME_BASE_STATUS_H
#define ORIEL_RUNTIME_BASE_STATUS_H

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <string>
#include <utility>

namespace oriel::runtime {

/// The same status, code and payloads, with `context` + ": " before the message. An OK status is returned as it is.
absl::Status withContext(absl::Status status, absl::string_view context);

/// A status for the current `errno`: `what` + ": " + strerror, with the code that fits (NotFound, PermissionDenied …).
absl::Status errnoStatus(absl::string_view what);

/// The exit code of a command line tool: 0 for OK, 2 for InvalidArgument (bad usage or malformed input), else 1.
int exitCode(const absl::Status &status);

} // namespace oriel::runtime

#define ORIEL_STATUS_CONCAT_INNER(a, b) a##b
#define ORIEL_STATUS_CONCAT(a, b) ORIEL_STATUS_CONCAT_INNER(a, b)

/// Returns the status of `expr` from the enclosing function unless it is OK.
#define ORIEL_RETURN_IF_ERROR(expr)                                                                                    \
  do {                                                                                                                 \
    ::absl::Status orielStatus = (expr);                                                                               \
    if (!orielStatus.ok())                                                                                             \
      return orielStatus;                                                                                              \
  } while (false)

/// Assigns the value of the StatusOr `expr` to `lhs` (which may declare a variable), or returns its status.
#define ORIEL_ASSIGN_OR_RETURN(lhs, expr)                                                                              \
  ORIEL_ASSIGN_OR_RETURN_IMPL(ORIEL_STATUS_CONCAT(orielStatusOr, __LINE__), lhs, expr)
#define ORIEL_ASSIGN_OR_RETURN_IMPL(temporary, lhs, expr)                                                              \
  auto temporary = (expr);                                                                                             \
  if (!temporary.ok())                                                                                                 \
    return std::move(temporary).status();                                                                              \
  lhs = std::move(temporary).value()

#endif
