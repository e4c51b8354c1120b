#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expression`, an absl::Status, is an error.
#define EVENKEEL_RETURN_IF_ERROR(expression)      \
  do {                                            \
    absl::Status evenkeel_status_ = (expression); \
    if (!evenkeel_status_.ok()) {                 \
      return evenkeel_status_;                    \
    }                                             \
  } while (false)

// Assigns the value of `expression`, an absl::StatusOr, to `target`, or returns its error.
#define EVENKEEL_ASSIGN_OR_RETURN(target, expression) \
  EVENKEEL_ASSIGN_OR_RETURN_(EVENKEEL_CONCATENATE_(evenkeel_result_, __LINE__), target, expression)

#define EVENKEEL_CONCATENATE_INNER_(a, b) a##b
#define EVENKEEL_CONCATENATE_(a, b) EVENKEEL_CONCATENATE_INNER_(a, b)
#define EVENKEEL_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) {                                          \
    return std::move(result).status();                         \
  }                                                            \
  target = *std::move(result)
