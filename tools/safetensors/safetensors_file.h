#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/input_file.h"
#include "tools/safetensors/safetensors_header.h"

namespace evenkeel::tools {

// A .safetensors file whose header has been read and checked; elements are read when asked for. Movable; reading is
// thread-safe. Errors name the path.
class SafetensorsFile {
 public:
  // NOT_FOUND when there is none; INVALID_ARGUMENT for what ParseSafetensorsLength and ParseSafetensorsHeader refuse.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }

  // The elements of a tensor of this file, exactly. INVALID_ARGUMENT, naming the tensor and its dtype, for one that is
  // none of F64, F32, F16, BF16.
  absl::StatusOr<std::vector<double>> ReadValues(const SafetensorsTensor& tensor) const;

 private:
  SafetensorsFile(std::string path, InputFile file) : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status ReadHeader();

  std::string path_;
  InputFile file_;
  SafetensorsHeader header_;
  uint64_t data_offset_ = 0;
};

// The elements of `tensor` from its `bytes`; errors as ReadValues, without a path.
absl::StatusOr<std::vector<double>> DecodeSafetensors(const SafetensorsTensor& tensor, absl::string_view bytes);

}  // namespace evenkeel::tools
