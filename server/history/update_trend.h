#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace evenkeel::history {

// The newest bias of each expert of a job, in the job's flat order, and how the last updates of each row moved it.
// Holds five bytes for each expert. Not thread-safe.
class UpdateTrend {
 public:
  // As in v1::LayerTrend; 0 before the first update.
  struct Row {
    double largest_update = 0;
    double sign_flip_ratio = 0;
  };

  // `bias` is what the first updates move.
  UpdateTrend(int rows, std::vector<float> bias);

  // An update of a row, whose experts are those from `offset` on, left it this bias.
  void Update(int row, int offset, absl::Span<const float> bias);

  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<float>& bias() const { return bias_; }

 private:
  std::vector<Row> rows_;
  std::vector<float> bias_;
  // Where each expert's last update moved it: -1, 0 or 1.
  std::vector<int8_t> directions_;
};

}  // namespace evenkeel::history
