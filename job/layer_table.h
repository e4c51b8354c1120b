#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::job {

// The most that a layer may have.
constexpr int kMaxStreams = 16;

// Count and bias vectors that the layer has: 0 on the wire is 1.
inline int StreamsOf(const v1::LayerSpec& layer) { return std::max(layer.streams(), 1); }

// The rows of a job, and where each lies in the job's flat arrays: the streams of its first layer, one after the other,
// then those of the next, in protocol order (ascending names). Most layers have one stream, and are one row.
class LayerTable {
 public:
  struct Row {
    // Of the layer, and which of its `streams` this is.
    std::string name;
    int stream = 0;
    int streams = 1;
    int num_experts = 0;
    int top_k = 0;
    // Of the row's first expert in an array over all experts of the job.
    int offset = 0;
    // Likewise in an array over the experts of the rows that count what a capacity limit left; -1: this one does not.
    int dispatched_offset = -1;
  };

  LayerTable() = default;
  // Layers of `spec` are sorted, named once each, and in range.
  explicit LayerTable(const v1::JobSpec& spec);

  // Number of rows.
  int size() const { return static_cast<int>(rows_.size()); }
  const Row& operator[](int row) const { return rows_[row]; }
  const std::vector<Row>& rows() const { return rows_; }
  // Of all rows.
  int total_experts() const { return total_experts_; }
  // Of those that count what a capacity limit left.
  int dispatched_experts() const { return dispatched_experts_; }

  // First row of the layer of that name, or -1.
  int Find(absl::string_view layer) const;

  // Ascending, the rows of the named layers; all of them when `layers` is empty. INVALID_ARGUMENT for a name that is
  // unknown or given twice.
  template <typename Names>
  absl::StatusOr<std::vector<int>> Indices(const Names& layers) const {
    std::vector<std::string> list(layers.begin(), layers.end());
    return IndicesOf(list);
  }

 private:
  absl::StatusOr<std::vector<int>> IndicesOf(const std::vector<std::string>& layers) const;

  std::vector<Row> rows_;
  int total_experts_ = 0;
  int dispatched_experts_ = 0;
};

// 'layer "name"', and which stream where it has more than one: for messages.
std::string Quoted(const LayerTable::Row& row);

}  // namespace evenkeel::job
