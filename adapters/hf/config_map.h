#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/yaml_document.h"

namespace evenkeel::hf {

// The names that one field goes by, of which messages use the one that is there, or else the first. One name converts.
struct Names {
  constexpr Names(const char* a, const char* b = "", const char* c = "", const char* d = "", const char* e = "")
      : names{a, b, c, d, e} {}
  constexpr Names(absl::string_view name) : names{name, "", "", "", ""} {}

  absl::string_view names[5];  // "" is no name
};

// The fields of one JSON object, by type. An absent field and one that is null are the same: nothing. What is not read
// may be anything. Errors are INVALID_ARGUMENT "origin:line:column: path.field: ...": a value of the wrong type or out
// of range, a field that is there twice, and two names of one field with different values.
//
// Refers to the tree and the texts that it is made of, which must outlive it.
class ConfigMap {
 public:
  // `node` is a map; `path` is how to reach it, with a dot behind it unless it is empty.
  ConfigMap(absl::string_view origin, const config::YamlNode& node, std::string path);

  const std::string& path() const { return path_; }

  // Whether it is there at all, null or not.
  bool Has(absl::string_view name) const;

  absl::StatusOr<std::optional<int>> Int(const Names& field, int min, int max) const;
  absl::StatusOr<std::optional<float>> Float(const Names& field, float min, float max) const;
  absl::StatusOr<std::optional<bool>> Bool(const Names& field) const;
  absl::StatusOr<std::optional<std::string>> Word(const Names& field) const;
  absl::StatusOr<std::optional<std::vector<std::string>>> Words(const Names& field) const;
  absl::StatusOr<std::optional<std::vector<int>>> Ints(const Names& field, int min, int max) const;
  absl::StatusOr<std::optional<ConfigMap>> Map(absl::string_view name) const;

  // Whether the field is a list; for fields that may be one value or one a layer.
  absl::StatusOr<bool> IsList(const Names& field) const;

  // The keys of this map, in the order of the text.
  std::vector<absl::string_view> Keys() const;

  // An error about a field, at its place, or at that of the map when it is absent.
  absl::Status Error(const Names& field, absl::string_view message) const;
  absl::Status Missing(const Names& field) const;

 private:
  using Node = config::YamlNode;

  absl::StatusOr<const Node*> Find(const Names& field) const;  // null when there is nothing
  absl::StatusOr<const Node*> FindList(const Names& field) const;
  absl::StatusOr<int> ToInt(const Node& node, absl::string_view name, int min, int max) const;
  absl::Status ErrorAt(const Node& field, absl::string_view message) const;
  absl::Status ErrorAt(config::Place place, absl::string_view name, absl::string_view message) const;

  absl::string_view origin_;
  const Node* node_;
  std::string path_;
};

}  // namespace evenkeel::hf
