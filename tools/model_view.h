#pragma once

#include <string>

#include "adapters/hf/model_routing.h"

namespace evenkeel::tools {

// The model's layers and routers as tables, for people: a line for all layers that route alike.
std::string ShowModel(const hf::ModelRouting& model);

// All of it as JSON, for programs: every layer for itself, its spec as a RouteSpec in protobuf JSON with the names of
// its fields as they are.
std::string ModelJson(const hf::ModelRouting& model);

}  // namespace evenkeel::tools
