#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::job {

// The layers of a job in protocol order (ascending names), and where each lies in the job's flat arrays.
class LayerTable {
 public:
  struct Layer {
    std::string name;
    int num_experts = 0;
    int top_k = 0;
    // Of the layer's first expert in an array over all experts of the job.
    int offset = 0;
  };

  LayerTable() = default;
  // `spec` has passed PlanJob: its layers are sorted, named once each, and in range.
  explicit LayerTable(const v1::JobSpec& spec);

  int size() const { return static_cast<int>(layers_.size()); }
  const Layer& operator[](int index) const { return layers_[index]; }
  const std::vector<Layer>& layers() const { return layers_; }
  int total_experts() const { return total_experts_; }

  // Index of the layer of that name, or -1.
  int Find(absl::string_view name) const;

  // Indices, ascending, of the named layers; all of them when `names` is empty. INVALID_ARGUMENT for a name that is
  // unknown or given twice.
  template <typename Names>
  absl::StatusOr<std::vector<int>> Indices(const Names& names) const {
    std::vector<std::string> list(names.begin(), names.end());
    return IndicesOf(list);
  }

 private:
  absl::StatusOr<std::vector<int>> IndicesOf(const std::vector<std::string>& names) const;

  std::vector<Layer> layers_;
  int total_experts_ = 0;
};

}  // namespace evenkeel::job
