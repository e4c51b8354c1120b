#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/source/step_counts.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/job.pb.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::client {

// The layers of a worker in the two orders they have: the caller's, by which its calls name them, and the protocol's
// (ascending names), in which the flat arrays of all workers agree. Immutable; thread-safe.
class LayerTable {
 public:
  struct Layer {
    std::string name;
    int num_experts = 0;
    int top_k = 0;
    // Absent where the trainer routes by itself.
    std::optional<routing::RouteSpec> route;
    // Whether this worker counts it.
    bool owned = true;
    // Place in protocol order, and where its experts begin in a flat array of all experts.
    int place = 0;
    int offset = 0;
  };

  // INVALID_ARGUMENT, naming layer, field and value, for a table without layers, a name that is empty or there twice,
  // sizes out of range, no layer that is owned, and a route that is malformed or contradicts the layer's sizes.
  static absl::StatusOr<LayerTable> Make(const std::vector<LayerOptions>& options);

  int size() const { return static_cast<int>(layers_.size()); }
  // By the caller's index.
  const Layer& operator[](int index) const { return layers_[index]; }
  // The caller's indices in protocol order.
  const std::vector<int>& protocol_order() const { return protocol_order_; }
  int total_experts() const { return total_experts_; }
  // Of a step of one of so many ranks that add up.
  StepShape shape(int ranks = 1) const { return {total_experts_, size(), /*dispatched=*/0, ranks}; }
  // Layers that this worker counts.
  int num_owned() const;
  // What a new job begins with, [total_experts] in protocol order; empty where no layer has one.
  const std::vector<float>& initial_bias() const { return initial_bias_; }
  // The layers as messages, in protocol order.
  const std::vector<v1::LayerSpec>& specs() const { return specs_; }

 private:
  // Of the next layer in protocol order.
  absl::Status AddInitialBias(const LayerOptions& layer);

  std::vector<Layer> layers_;
  std::vector<int> protocol_order_;
  std::vector<v1::LayerSpec> specs_;
  int total_experts_ = 0;
  std::vector<float> initial_bias_;
  bool has_initial_bias_ = false;
};

// Whether a layer has a name, and sizes in range. INVALID_ARGUMENT, naming layer, field and value.
absl::Status CheckSizes(const LayerOptions& layer);

// 'layer "name"', for messages.
std::string Quoted(const LayerTable::Layer& layer);

// `status` with the layer's name before it.
absl::Status AtLayer(const LayerTable::Layer& layer, const absl::Status& status);

// The layer's route. FAILED_PRECONDITION where it has none.
absl::StatusOr<const routing::RouteSpec*> RouteOf(const LayerTable::Layer& layer);

}  // namespace evenkeel::client
