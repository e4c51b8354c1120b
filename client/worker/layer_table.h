#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
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
    // Kinds of tokens with counts and a bias of their own: each is a row, and they lie one after the other.
    int streams = 1;
    // Its first row, in protocol order, and where the experts of that begin in a flat array of all rows' experts.
    int first_row = 0;
    int offset = 0;
    // Likewise in an array of the experts whose rows count what a capacity limit left; -1: this layer's do not.
    int dispatched_offset = -1;
  };

  // INVALID_ARGUMENT, naming layer, field and value, for a table without layers, a name that is empty or there twice,
  // sizes out of range, no layer that is owned, and a route that is malformed or contradicts the layer's sizes.
  static absl::StatusOr<LayerTable> Make(const std::vector<LayerOptions>& options);

  int size() const { return static_cast<int>(layers_.size()); }
  // By the caller's index.
  const Layer& operator[](int index) const { return layers_[index]; }
  // The caller's indices in protocol order.
  const std::vector<int>& protocol_order() const { return protocol_order_; }
  // Of all rows.
  int total_experts() const { return total_experts_; }
  int total_rows() const { return total_rows_; }
  // Of a step of one of so many ranks that add up.
  StepShape shape(int ranks = 1) const { return {total_experts_, total_rows_, total_dispatched_, ranks}; }
  // Layers that this worker counts.
  int num_owned() const;
  // What a new job begins with, [total_experts] in protocol order; empty where no layer has one.
  const std::vector<float>& initial_bias() const { return initial_bias_; }
  // The layers as messages, in protocol order.
  const std::vector<v1::LayerSpec>& specs() const { return specs_; }

 private:
  // The next layer in protocol order.
  absl::Status Place(const LayerOptions& options, Layer* layer);
  absl::Status AddInitialBias(const LayerOptions& layer);

  std::vector<Layer> layers_;
  std::vector<int> protocol_order_;
  std::vector<v1::LayerSpec> specs_;
  int total_experts_ = 0;
  int total_rows_ = 0;
  int total_dispatched_ = 0;
  std::vector<float> initial_bias_;
  bool has_initial_bias_ = false;
};

// Whether a layer has a name, and sizes and streams in range. INVALID_ARGUMENT, naming layer, field and value.
absl::Status CheckSizes(const LayerOptions& layer);

// Of one of the layer's streams.
inline int OffsetOf(const LayerTable::Layer& layer, int stream) { return layer.offset + stream * layer.num_experts; }

// Writes the largest of each layer's streams, of `of_rows` in protocol order, as report->max_violation.
void ReportViolations(const LayerTable& layers, absl::Span<const float> of_rows, StepReport* report);

// 'layer "name"', for messages.
std::string Quoted(const LayerTable::Layer& layer);

// `status` with the layer's name before it.
absl::Status AtLayer(const LayerTable::Layer& layer, const absl::Status& status);

// The layer's route. FAILED_PRECONDITION where it has none.
absl::StatusOr<const routing::RouteSpec*> RouteOf(const LayerTable::Layer& layer);

}  // namespace evenkeel::client
