#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_spec.h"
#include "tools/npy/npy.h"

// What commands that route read: a router, and the rows that it routes.
namespace evenkeel::tools {

// Flags, each a path but `layer`.
struct RouterFiles {
  std::string spec;   // a RouteSpec in JSON or YAML
  std::string model;  // or a Hugging Face config.json
  std::string layer;  // of the model, as ChooseLayer has it
  std::string logits;
  std::string bias;   // empty: 0
  std::string valid;  // empty: all
};

// INVALID_ARGUMENT, naming the flag, unless there is one of spec and model, and a layer only with a model.
absl::Status CheckRouterFiles(const RouterFiles& files);

struct RouterRows {
  routing::RouteSpec spec;
  std::string layer;              // what the router is called in the model; empty without one
  NpyArray logits;                // float32 or float16 [tokens, experts]
  std::optional<NpyArray> bias;   // float32 [experts]
  std::optional<NpyArray> valid;  // bool [tokens]

  int64_t tokens() const { return logits.shape()[0]; }

  // Of these arrays.
  routing::RouteInput Input() const;
};

// Errors name the file: what it does not have, or what it has and what was asked for.
absl::StatusOr<RouterRows> ReadRouterFiles(const RouterFiles& files);

}  // namespace evenkeel::tools
