#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace evenkeel::client {

// All of `names`, as a list for people: names that differ in their first number alone are written together,
//   model.layers.[3-60].mlp.gate, model.mtp.0.mlp.gate
// in the order in which the first of each comes. No name is left out.
std::string NameList(const std::vector<absl::string_view>& names);

}  // namespace evenkeel::client
