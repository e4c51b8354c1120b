#pragma once

#include "absl/strings/string_view.h"
#include "adapters/hf/config_map.h"
#include "base/check.h"
#include "config/yaml_document.h"

namespace evenkeel::hf {

// For tests: a config and the tree that it refers to. Text that does not parse aborts. Not to be copied.
class ParsedConfig {
 public:
  explicit ParsedConfig(absl::string_view json) : tree_(Parse(json)), map_("c.json", tree_, "") {}
  ParsedConfig(const ParsedConfig&) = delete;
  ParsedConfig& operator=(const ParsedConfig&) = delete;

  const ConfigMap& operator*() const { return map_; }
  const ConfigMap* operator->() const { return &map_; }

 private:
  static config::YamlNode Parse(absl::string_view json) {
    auto tree = config::ParseYaml(json, "c.json");
    EVENKEEL_CHECK(tree.ok());
    return *std::move(tree);
  }

  const config::YamlNode tree_;
  const ConfigMap map_;
};

}  // namespace evenkeel::hf
