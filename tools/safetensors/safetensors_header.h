#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// The header of a .safetensors file: 8 bytes that say how long it is (little-endian), a JSON object with a key for each
// tensor, then the tensors' elements, flat, little-endian, in C order.
namespace evenkeel::tools {

// What the format calls a dtype, and what an element takes.
struct SafetensorsType {
  absl::string_view name;  // "F32"
  int bits;
};

struct SafetensorsTensor {
  std::string name;
  SafetensorsType type;
  std::vector<int64_t> shape;  // empty: one element
  // Bytes, from the start of the data.
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;       // in the order of their data
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

inline constexpr size_t kSafetensorsLengthBytes = 8;

// What other readers of the format accept at most.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// The length of the JSON, from the first 8 bytes of a file of `file_bytes`. INVALID_ARGUMENT, naming the value, when
// the file is shorter, and for a length above kMaxSafetensorsHeaderBytes.
absl::StatusOr<uint64_t> ParseSafetensorsLength(absl::string_view start, uint64_t file_bytes);

// Reads the JSON of a file that has `data_bytes` after it. INVALID_ARGUMENT, naming the tensor and the value, for text
// that is no such JSON (spaces may follow it); for names given twice, unknown keys and dtypes, shapes whose size in
// bits does not fit in 63 bits or is no whole number of bytes, offsets that are not the size of the shape; and for data
// that the tensors leave out, share, or do not have.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_bytes);

// The start of a file whose data are the float32 elements of `tensors`, one after another; their type, begin and end
// are not read. Names are distinct, none "__metadata__". Data begin at a multiple of 8.
std::string FormatSafetensorsHeader(absl::Span<const SafetensorsTensor> tensors,
                                    const std::map<std::string, std::string>& metadata);

// As the format writes it: "[2, 256]", "[]".
std::string SafetensorsShapeText(absl::Span<const int64_t> shape);

// A tensor's name in double quotes for a message: escaped, and cut when it is long.
std::string QuotedName(absl::string_view name);

}  // namespace evenkeel::tools
