// A row's result, from a slot a lane to memory. Text for the lanes of a warp; row-inl.h says where it may be included.

EVENKEEL_WARP void StoreIds(const RoutePlan& plan, const Row& row, Mask slots, Word ids) {
  if (plan.output.id_type == IdType::kInt32) {
    warp::Store(reinterpret_cast<int32_t*>(row.ids), warp::LaneIndex(), ids, slots);
  } else {
    warp::Store(reinterpret_cast<int64_t*>(row.ids), warp::LaneIndex(), ids, slots);
  }
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
EVENKEEL_WARP void StoreRow(const RoutePlan& plan, const Row& row, Word ids, Float weights) {
  const Mask slots = warp::LaneIndex() < static_cast<uint32_t>(plan.spec.top_k);
  const RouteOutput& output = plan.output;
  if (plan.stores_ids) StoreIds(plan, row, slots, ids);
  if (plan.stores_weights) {
    StoreFloats<1>(row.weights, output.weights_dtype, 0, plan.spec.top_k, warp::LaneIndex(), &weights);
  }
  if (output.dense_probabilities != nullptr) {
    StoreDense<R>(plan, output.dense_probabilities + row.number * output.dense_probabilities_stride, ids, weights);
  }
  if (output.dense_map != nullptr) {
    StoreDense<R>(plan, output.dense_map + row.number * output.dense_map_stride, ids, Word(1u));
  }
}
