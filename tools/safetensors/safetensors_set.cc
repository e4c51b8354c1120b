#include "tools/safetensors/safetensors_set.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

// The files that `path` means, ascending.
absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".safetensors") files.push_back(entry->path());
  }
  if (error) return absl::ErrnoToStatus(error.value(), path);
  if (files.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no file in it ends in .safetensors"));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<SafetensorsSet> SafetensorsSet::Open(const std::string& path) {
  SafetensorsSet set(path);
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(path));
  for (const std::string& file : files) EVENKEEL_RETURN_IF_ERROR(set.Add(file));
  return set;
}

absl::Status SafetensorsSet::Add(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  const std::vector<SafetensorsTensor>& tensors = file.header().tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto [there, is_new] = places_.emplace(tensors[i].name, Place{files_.size(), i});
    if (!is_new) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": tensor ", QuotedName(tensors[i].name), " is in ",
                                                     files_[there->second.file].path(), " too"));
    }
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

std::vector<std::string> SafetensorsSet::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

const SafetensorsTensor& SafetensorsSet::Tensor(const std::string& name) const {
  const auto place = places_.find(name);
  EVENKEEL_CHECK(place != places_.end());
  return files_[place->second.file].header().tensors[place->second.tensor];
}

absl::StatusOr<std::vector<double>> SafetensorsSet::ReadValues(const std::string& name) const {
  const auto place = places_.find(name);
  EVENKEEL_CHECK(place != places_.end());
  return files_[place->second.file].ReadValues(Tensor(name));
}

}  // namespace evenkeel::tools
