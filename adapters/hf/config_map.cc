#include "adapters/hf/config_map.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "config/number_text.h"

namespace evenkeel::hf {
namespace {

using config::Quoted;
using config::YamlNode;

bool IsPlain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }
bool IsString(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && node.quoted; }

// For a message.
std::string Shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "an object";
    case YamlNode::Kind::kScalar:
      break;
  }
  return Quoted(node.text);
}

bool Equal(const YamlNode& a, const YamlNode& b) {
  if (a.kind != b.kind || a.text != b.text || a.quoted != b.quoted || a.children.size() != b.children.size()) {
    return false;
  }
  for (size_t i = 0; i < a.children.size(); ++i) {
    if (a.children[i].key != b.children[i].key || !Equal(a.children[i], b.children[i])) return false;
  }
  return true;
}

std::vector<absl::string_view> Used(const Names& field) {
  std::vector<absl::string_view> used;
  for (const absl::string_view name : field.names) {
    if (!name.empty()) used.push_back(name);
  }
  return used;
}

}  // namespace

ConfigMap::ConfigMap(absl::string_view origin, const Node& node, std::string path)
    : origin_(origin), node_(&node), path_(std::move(path)) {}

bool ConfigMap::Has(absl::string_view name) const {
  for (const Node& child : node_->children) {
    if (child.key == name) return true;
  }
  return false;
}

std::vector<absl::string_view> ConfigMap::Keys() const {
  std::vector<absl::string_view> keys;
  for (const Node& child : node_->children) keys.push_back(child.key);
  return keys;
}

absl::StatusOr<const YamlNode*> ConfigMap::Find(const Names& field) const {
  const Node* found = nullptr;
  for (const absl::string_view name : Used(field)) {
    const Node* named = nullptr;
    for (const Node& child : node_->children) {
      if (child.key != name) continue;
      if (named != nullptr) return ErrorAt(child, "is there twice");
      named = &child;
    }
    if (named == nullptr || named->kind == Node::Kind::kNull) continue;
    if (found != nullptr && !Equal(*found, *named)) {
      return ErrorAt(*named, absl::StrCat(Shown(*named), " differs from ", found->key, " = ", Shown(*found)));
    }
    if (found == nullptr) found = named;
  }
  return found;
}

absl::StatusOr<int> ConfigMap::ToInt(const Node& node, absl::string_view name, int min, int max) const {
  int64_t value = 0;
  if (!IsPlain(node) || !config::ParseInteger(node.text, &value).ok()) {
    return ErrorAt(node.place, name, absl::StrCat(Shown(node), " is not an integer"));
  }
  if (value < min || value > max) {
    return ErrorAt(node.place, name, absl::StrCat(value, " is not in [", min, ", ", max, "]"));
  }
  return static_cast<int>(value);
}

absl::StatusOr<std::optional<int>> ConfigMap::Int(const Names& field, int min, int max) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node == nullptr) return std::nullopt;
  return ToInt(*node, node->key, min, max);
}

absl::StatusOr<std::optional<float>> ConfigMap::Float(const Names& field, float min, float max) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node == nullptr) return std::nullopt;
  float value = 0;
  if (!IsPlain(*node) || !config::ParseFloat(node->text, &value).ok()) {
    return ErrorAt(*node, absl::StrCat(Shown(*node), " is not a finite number"));
  }
  if (value < min || value > max) {
    return ErrorAt(*node, absl::StrCat(node->text, " is not in [", min, ", ", max, "]"));
  }
  return value;
}

absl::StatusOr<std::optional<bool>> ConfigMap::Bool(const Names& field) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node == nullptr) return std::nullopt;
  if (!IsPlain(*node) || (node->text != "true" && node->text != "false")) {
    return ErrorAt(*node, absl::StrCat(Shown(*node), " is not true or false"));
  }
  return node->text == "true";
}

absl::StatusOr<std::optional<std::string>> ConfigMap::Word(const Names& field) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node == nullptr) return std::nullopt;
  if (!IsString(*node)) return ErrorAt(*node, absl::StrCat(Shown(*node), " is not a string"));
  return node->text;
}

absl::StatusOr<const YamlNode*> ConfigMap::FindList(const Names& field) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node != nullptr && node->kind != Node::Kind::kList) {
    return ErrorAt(*node, absl::StrCat(Shown(*node), " is not a list"));
  }
  return node;
}

absl::StatusOr<std::optional<std::vector<std::string>>> ConfigMap::Words(const Names& field) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, FindList(field));
  if (node == nullptr) return std::nullopt;
  std::vector<std::string> words;
  for (const Node& child : node->children) {
    if (!IsString(child)) return ErrorAt(child.place, node->key, absl::StrCat(Shown(child), " is not a string"));
    words.push_back(child.text);
  }
  return words;
}

absl::StatusOr<std::optional<std::vector<int>>> ConfigMap::Ints(const Names& field, int min, int max) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, FindList(field));
  if (node == nullptr) return std::nullopt;
  std::vector<int> values;
  for (const Node& child : node->children) {
    EVENKEEL_ASSIGN_OR_RETURN(const int value, ToInt(child, node->key, min, max));
    values.push_back(value);
  }
  return values;
}

absl::StatusOr<std::optional<ConfigMap>> ConfigMap::Map(absl::string_view name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(name));
  if (node == nullptr) return std::nullopt;
  if (node->kind != Node::Kind::kMap) return ErrorAt(*node, absl::StrCat(Shown(*node), " is not an object"));
  return ConfigMap(origin_, *node, absl::StrCat(path_, name, "."));
}

absl::StatusOr<bool> ConfigMap::IsList(const Names& field) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  return node != nullptr && node->kind == Node::Kind::kList;
}

absl::Status ConfigMap::ErrorAt(config::Place place, absl::string_view name, absl::string_view message) const {
  return config::ErrorAt(origin_, place, absl::StrCat(path_, name, ": ", message));
}

absl::Status ConfigMap::ErrorAt(const Node& field, absl::string_view message) const {
  return ErrorAt(field.place, field.key, message);
}

absl::Status ConfigMap::Error(const Names& field, absl::string_view message) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Node* node, Find(field));
  if (node != nullptr) return ErrorAt(*node, message);
  return ErrorAt(node_->place, field.names[0], message);
}

absl::Status ConfigMap::Missing(const Names& field) const {
  std::vector<absl::string_view> others = Used(field);
  others.erase(others.begin());
  return Error(field,
               others.empty() ? "missing" : absl::StrCat("missing (also known as ", absl::StrJoin(others, ", "), ")"));
}

}  // namespace evenkeel::hf
