// Rows of floats in the caller's memory, of any type. Text for the lanes of a warp; row-inl.h says where it may be
// included.
//
// A row of `size` floats begins `begin` elements into its matrix. Register r of a lane is its element first + 32 r, and
// nothing where that is no less than the size.

EVENKEEL_WARP Word Element(Word first, int r) { return first + static_cast<uint32_t>(32 * r); }

// Elements that are none become `otherwise`. With kWhole all are there.
template <int R, bool kWhole = false>
EVENKEEL_WARP void LoadFloats(const void* matrix, DType dtype, int64_t begin, int size, Word first, float otherwise,
                              Float* values) {
  const uint32_t end = size;
  if (dtype == DType::kF32) {
    const float* from = static_cast<const float*>(matrix) + begin;
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) {
      const Mask mask = kWhole ? Mask(true) : Element(first, r) < end;
      values[r] = warp::Load(from, first, mask, otherwise, 32 * r);
    }
    return;
  }
  const uint16_t* from = static_cast<const uint16_t*>(matrix) + begin;
  const bool brain = dtype == DType::kBF16;
  const uint32_t narrow_otherwise = brain ? BFloat16FromFloat(otherwise) : HalfFromFloat(otherwise);
  Word narrow[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Mask mask = kWhole ? Mask(true) : Element(first, r) < end;
    narrow[r] = warp::Load(from, first, mask, narrow_otherwise, 32 * r);
  }
  if (brain) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = warp::FloatFromBFloat16(narrow[r]);
  } else {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = warp::FloatFromHalf(narrow[r]);
  }
}

// Rounds to nearest even.
template <int R>
EVENKEEL_WARP void StoreFloats(void* matrix, DType dtype, int64_t begin, int size, Word first, const Float* values) {
  const uint32_t end = size;
  if (dtype == DType::kF32) {
    float* to = static_cast<float*>(matrix) + begin;
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) warp::Store(to, first, values[r], Element(first, r) < end, 32 * r);
    return;
  }
  uint16_t* to = static_cast<uint16_t*>(matrix) + begin;
  if (dtype == DType::kBF16) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) {
      warp::Store(to, first, warp::BFloat16FromFloat(values[r]), Element(first, r) < end, 32 * r);
    }
  } else {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) {
      warp::Store(to, first, warp::HalfFromFloat(values[r]), Element(first, r) < end, 32 * r);
    }
  }
}
