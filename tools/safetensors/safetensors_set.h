#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/safetensors/safetensors_file.h"

namespace evenkeel::tools {

// The tensors of one file, or of all .safetensors files of a folder: a checkpoint in shards. Movable; reading is
// thread-safe. Errors name the path.
class SafetensorsSet {
 public:
  // As SafetensorsFile::Open for each file. INVALID_ARGUMENT also for a folder without one, and, naming both files, for
  // a tensor that is in two.
  static absl::StatusOr<SafetensorsSet> Open(const std::string& path);

  const std::string& path() const { return path_; }

  // Of all tensors, ascending.
  std::vector<std::string> Names() const;

  bool Has(const std::string& name) const { return places_.count(name) > 0; }

  // A tensor that the set has.
  const SafetensorsTensor& Tensor(const std::string& name) const;

  // Its elements, and errors, as SafetensorsFile::ReadValues.
  absl::StatusOr<std::vector<double>> ReadValues(const std::string& name) const;

 private:
  struct Place {
    size_t file;
    size_t tensor;
  };

  explicit SafetensorsSet(std::string path) : path_(std::move(path)) {}
  absl::Status Add(const std::string& path);

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place> places_;
};

}  // namespace evenkeel::tools
