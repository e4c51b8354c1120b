#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// Layers' names for people. Pure functions.
namespace evenkeel::tools {

// Whether `a` comes before `b` where numbers within names count as numbers: "layers.2" before "layers.10". A strict
// weak order; the protocol's own is of bytes.
bool NaturalLess(absl::string_view a, absl::string_view b);

// The names without what all of them begin and end with, in the order given: "3" for "model.layers.3.mlp.gate". Cut at
// dots only; as they are where one would be left empty, or there is only one.
std::vector<std::string> ShortNames(const std::vector<std::string>& names);

}  // namespace evenkeel::tools
