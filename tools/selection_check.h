#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/routing/route_spec.h"
#include "tools/router_files.h"

namespace evenkeel::tools {

// Another way to select: what other software makes of the same bias.
struct SelectionVariant {
  routing::DroppedGroupFill fill;
  bool is_bf16 = false;  // the bias is rounded to bfloat16, after the offset
  double offset = 0;     // added to every expert's bias
};

struct SelectionDifference {
  SelectionVariant variant;
  int64_t tokens = 0;  // whose set of experts differs
  int64_t slots = 0;   // of those sets, as many as one has and the other has not
};

struct SelectionCheck {
  int64_t tokens = 0;  // that are routed: valid ones
  int64_t slots = 0;   // top_k of each
  double offset = 0;   // balance::PositiveOffset of the bias
  std::vector<SelectionDifference> differences;
};

// Routes the rows as their spec says, and in every other combination of fill and rounding; with `with_offset` in all
// combinations with the positive offset, too. Order within a token's experts is no difference.
absl::StatusOr<SelectionCheck> CheckSelection(const RouterRows& rows, bool with_offset);

}  // namespace evenkeel::tools
