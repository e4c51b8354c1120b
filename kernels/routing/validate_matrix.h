#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/routing/invalid_field.h"
#include "kernels/routing/route.h"

// What is asked of every matrix that a router or a backward pass is given.
namespace evenkeel::routing {

// A matrix that is there has rows that do not overlap.
inline absl::Status ValidateStride(absl::string_view field, const void* matrix, int64_t stride, int columns) {
  if (matrix == nullptr || stride >= columns) return absl::OkStatus();
  return InvalidField(field, stride, absl::StrCat("must be at least the row's length, ", columns));
}

// kF32, or the logits' type.
inline absl::Status ValidateDType(absl::string_view field, DType dtype, DType logits_dtype) {
  absl::Status status = ValidateEnum(field, dtype, DType::kF16);
  if (dtype != DType::kF32 && dtype != logits_dtype) {
    status.Update(InvalidField(field, static_cast<int>(dtype),
                               absl::StrCat("must be float32 or logits_dtype = ", static_cast<int>(logits_dtype))));
  }
  return status;
}

}  // namespace evenkeel::routing
