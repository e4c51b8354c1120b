#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// The header of NumPy's .npy files, versions 1.0, 2.0 and 3.0, as numpy.lib.format describes them.
namespace evenkeel::tools {

// Little-endian, in C order; a bool is one byte.
enum class NpyType { kBool, kFloat16, kFloat32, kFloat64, kInt32, kInt64, kUint32, kUint64 };

// NumPy's name: "float32".
absl::string_view NpyTypeName(NpyType type);

// Bytes of one element.
size_t NpyTypeSize(NpyType type);

struct NpyHeader {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;  // empty: one element
  uint64_t data_bytes = 0;     // elements times their size
  size_t data_offset = 0;      // bytes from the start of the file
};

// What a header can take at most, from the start of the file.
inline constexpr size_t kMaxNpyHeaderBytes = size_t{1} << 16;

// Reads the header at the start of a file, of which `start` has the first kMaxNpyHeaderBytes, or all if it is shorter.
// INVALID_ARGUMENT, naming field and value, for what is no .npy file, and for what this library does not read: other
// versions and types, big-endian numbers, Fortran order, structured arrays, negative dimensions and shapes whose size
// in bytes (dimensions of 0 taken as 1) does not fit in 63 bits. Allocates no more than the header has bytes.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view start);

// The header of version 1.0 for an array of at most 32 dimensions, padded so that the data begins at a multiple of 64.
std::string FormatNpyHeader(NpyType type, absl::Span<const int64_t> shape);

// As Python writes it: "(16, 8)", "(8,)", "()".
std::string NpyShapeText(absl::Span<const int64_t> shape);

}  // namespace evenkeel::tools
