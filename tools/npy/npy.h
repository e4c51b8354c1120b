#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "tools/npy/npy_header.h"

namespace evenkeel::tools {

// An array in memory, in C order, owned. Movable; reading it is thread-safe.
class NpyArray {
 public:
  // Takes header.data_bytes bytes of `data`.
  NpyArray(NpyHeader header, std::unique_ptr<char[]> data) : header_(std::move(header)), data_(std::move(data)) {}

  NpyType type() const { return header_.type; }
  absl::Span<const int64_t> shape() const { return header_.shape; }
  const void* data() const { return data_.get(); }

  // All elements. T must have the size of type(), and be a type that its bytes can be read as.
  template <typename T>
  absl::Span<const T> values() const {
    EVENKEEL_CHECK(sizeof(T) == NpyTypeSize(header_.type));
    return {reinterpret_cast<const T*>(data_.get()), static_cast<size_t>(header_.data_bytes / sizeof(T))};
  }

 private:
  NpyHeader header_;
  std::unique_ptr<char[]> data_;
};

// Reads a whole file. Errors name the path and the cause: NOT_FOUND when there is none; INVALID_ARGUMENT for what
// ParseNpyHeader refuses, for data that is shorter or longer than the shape says, and for what is no regular file;
// RESOURCE_EXHAUSTED when memory does not suffice. Allocates for the data only once the file has them.
absl::StatusOr<NpyArray> ReadNpy(const std::string& path);

// As ReadNpy, from the bytes of a file.
absl::StatusOr<NpyArray> ParseNpy(absl::string_view file);

// An array to be written; the data are the caller's.
struct NpyOutput {
  std::string path;
  NpyType type;
  std::vector<int64_t> shape;
  const void* data;
};

// Writes version 1.0, all files or none: on an error, files that were there are as they were, and no new ones are.
// (A process that is killed in the middle can leave files that end in .tmp behind.) Errors name the path.
absl::Status WriteNpy(absl::Span<const NpyOutput> outputs);

}  // namespace evenkeel::tools
