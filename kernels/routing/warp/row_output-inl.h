// A row's result, from a slot a lane to memory. Text for the lanes of a warp; row-inl.h says where it may be included.

EVENKEEL_WARP void StoreIds(const RoutePlan& plan, int64_t row, Mask slots, Word ids) {
  const int64_t begin = row * plan.output.ids_stride;
  if (plan.output.id_type == IdType::kInt32) {
    warp::Store(static_cast<int32_t*>(plan.output.ids) + begin, warp::LaneIndex(), ids, slots);
  } else {
    warp::Store(static_cast<int64_t*>(plan.output.ids) + begin, warp::LaneIndex(), ids, slots);
  }
}

EVENKEEL_WARP void StoreWeights(const RoutePlan& plan, int64_t row, Mask slots, Float weights) {
  const int64_t begin = row * plan.output.weights_stride;
  if (plan.output.weights_dtype == DType::kF32) {
    warp::Store(static_cast<float*>(plan.output.weights) + begin, warp::LaneIndex(), weights, slots);
    return;
  }
  const bool brain = plan.output.weights_dtype == DType::kBF16;
  const Word narrow = brain ? warp::BFloat16FromFloat(weights) : warp::HalfFromFloat(weights);
  warp::Store(static_cast<uint16_t*>(plan.output.weights) + begin, warp::LaneIndex(), narrow, slots);
}

// Zeros first, then the chosen experts' values.
template <int R, class Value, class Lane>
EVENKEEL_WARP void StoreDense(const RoutePlan& plan, Value* dense, Word ids, Lane values) {
  const Lane zero = Value{0};
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    warp::Store(dense, warp::LaneIndex(), zero, IsExpert(plan, Expert(warp::LaneIndex(), r)), 32 * r);
  }
  warp::SyncStores();
  warp::Store(dense, ids, values, IsExpert(plan, ids));
}

template <int R>
EVENKEEL_WARP void StoreRow(const RoutePlan& plan, int64_t row, Word ids, Float weights) {
  const Mask slots = warp::LaneIndex() < static_cast<uint32_t>(plan.spec.top_k);
  const RouteOutput& output = plan.output;
  if (output.ids != nullptr) StoreIds(plan, row, slots, ids);
  if (output.weights != nullptr) StoreWeights(plan, row, slots, weights);
  if (output.dense_probabilities != nullptr) {
    StoreDense<R>(plan, output.dense_probabilities + row * output.dense_probabilities_stride, ids, weights);
  }
  if (output.dense_map != nullptr) {
    StoreDense<R>(plan, output.dense_map + row * output.dense_map_stride, ids, Word(1u));
  }
}
