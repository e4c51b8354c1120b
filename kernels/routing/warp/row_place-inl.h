// Where a row lies in the caller's memory. Text for the lanes of a warp; row-inl.h says where it may be included.

// Pointers that move on with the rows: to multiply anew for each would be a tenth of what a row costs.
struct Row {
  int64_t number;
  const char* logits;
  char* ids;  // null where they are not wanted, as the weights
  char* weights;
};

EVENKEEL_WARP Row RowAt(const RoutePlan& plan, int64_t number) {
  return {number, static_cast<const char*>(plan.input.logits) + number * plan.row_bytes.logits,
          static_cast<char*>(plan.output.ids) + number * plan.row_bytes.ids,
          static_cast<char*>(plan.output.weights) + number * plan.row_bytes.weights};
}

EVENKEEL_WARP void Advance(int64_t rows, const RowBytes& bytes, Row* row) {
  row->number += rows;
  row->logits += bytes.logits;
  row->ids += bytes.ids;
  row->weights += bytes.weights;
}

// Minus infinity where there is no expert.
template <int R, bool kWhole = false>
EVENKEEL_WARP void LoadLogits(const RoutePlan& plan, const Row& row, Word first, Float* logits) {
  LoadFloats<R, kWhole>(row.logits, plan.input.logits_dtype, 0, plan.spec.num_experts, first, kNegativeInfinity,
                        logits);
}

// Of all experts, from lane to lane.
template <int R>
EVENKEEL_WARP void LoadRow(const RoutePlan& plan, const Row& row, Float* logits) {
  if (plan.spec.num_experts == 32 * R) {
    LoadLogits<R, true>(plan, row, warp::LaneIndex(), logits);
  } else {
    LoadLogits<R>(plan, row, warp::LaneIndex(), logits);
  }
}
