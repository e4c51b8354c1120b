#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/npy/npy.h"

// Whether an array is what a command asked for. Errors are INVALID_ARGUMENT, naming the file, what it has and what was
// asked for.
namespace evenkeel::tools {

// One of `types`.
absl::Status CheckType(const std::string& path, const NpyArray& array, absl::Span<const NpyType> types);

inline constexpr int64_t kAnySize = -1;

struct Axis {
  absl::string_view name;
  int64_t size;  // or kAnySize
};

// As many dimensions as `axes`, of those sizes.
absl::Status CheckShape(const std::string& path, const NpyArray& array, absl::Span<const Axis> axes);

}  // namespace evenkeel::tools
