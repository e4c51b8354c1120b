#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "tests/gpu_check/benchmark/two_kernel_router.h"

namespace evenkeel::benchmarks {
namespace {

using routing::DType;
using routing::RouteSpec;

constexpr unsigned kAll = 0xffffffffu;
constexpr int kLanes = 32;
constexpr int kWarps = 4;  // of a block of the top-k kernel
constexpr int kLanesOfGroup = 4;
constexpr int kGroups = kLanes / kLanesOfGroup;
constexpr int kCountThreads = 256;
constexpr int kMaxExperts = 512;

struct Rows {
  const void* logits;
  const float* bias;
  int32_t* ids;
  float* weights;
  int64_t count;
};

struct Rule {
  bool sigmoid;  // or by logit, weighted by softmax
  int top_k;
  int top_groups;  // 0: no groups
  float epsilon;
  float scale;
};

// Loads of 16 bytes where what a lane wants is a multiple of that.
template <int kBytes>
struct Vector {
  static constexpr int kVectorBytes = kBytes % 16 == 0 ? 16 : kBytes % 8 == 0 ? 8 : 4;
  struct alignas(kVectorBytes) Part {
    uint32_t words[kVectorBytes / 4];
  };

  __device__ explicit Vector(const void* from) {
#pragma unroll
    for (int i = 0; i < kBytes / kVectorBytes; ++i) parts[i] = static_cast<const Part*>(from)[i];
  }
  __device__ uint32_t word(int i) const { return parts[i / (kVectorBytes / 4)].words[i % (kVectorBytes / 4)]; }

  Part parts[kBytes / kVectorBytes];
};

template <int R>
__device__ void LoadLogits(const float* from, float (&logits)[R]) {
  const Vector<4 * R> vector(from);
#pragma unroll
  for (int r = 0; r < R; ++r) logits[r] = __uint_as_float(vector.word(r));
}

// bfloat16, two to a word.
template <int R>
__device__ void LoadLogits(const uint16_t* from, float (&logits)[R]) {
  const Vector<2 * R> vector(from);
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const uint32_t word = vector.word(r / 2);
    logits[r] = __uint_as_float(r % 2 == 0 ? word << 16 : word & 0xffff0000u);
  }
}

// Unsigned integers in the order of the floats, none of them 0, which is what has been taken.
__device__ uint32_t KeyOf(float value) {
  const uint32_t bits = __float_as_uint(value);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

template <int R>
__device__ uint32_t GreatestKey(const uint32_t (&keys)[R]) {
  uint32_t greatest = keys[0];
#pragma unroll
  for (int r = 1; r < R; ++r) greatest = max(greatest, keys[r]);
  return greatest;
}

// Takes the groups off whose sum of the two best is not among the `kept` greatest; of equal ones the lower stays.
template <int R>
__device__ void DropGroups(const float (&biased)[R], int lane, int kept, uint32_t (&keys)[R]) {
  float best = -INFINITY, second = -INFINITY;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    second = fmaxf(second, fminf(best, biased[r]));
    best = fmaxf(best, biased[r]);
  }
#pragma unroll
  for (int step = 1; step < kLanesOfGroup; step *= 2) {
    const float other_best = __shfl_xor_sync(kAll, best, step);
    const float other_second = __shfl_xor_sync(kAll, second, step);
    second = fmaxf(fminf(best, other_best), fmaxf(second, other_second));
    best = fmaxf(best, other_best);
  }
  const float sum = best + second;
  int before = 0;
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const float other = __shfl_sync(kAll, sum, group * kLanesOfGroup);
    before += other > sum || (other == sum && group < lane / kLanesOfGroup);
  }
  if (before < kept) return;
#pragma unroll
  for (int r = 0; r < R; ++r) keys[r] = 0;
}

struct Slot {
  int id;
  float value;
};

// The best that is left goes into every lane's answer, and is taken. values[r] is expert lane * R + r's.
template <int R>
__device__ Slot TakeBest(const float (&values)[R], int lane, uint32_t (&keys)[R], uint32_t* greatest) {
  const uint32_t best = __reduce_max_sync(kAll, *greatest);
  const int owner = __ffs(__ballot_sync(kAll, *greatest == best)) - 1;
  Slot slot = {0, 0};
  if (lane == owner) {
    int at = 0;
#pragma unroll
    for (int r = R - 1; r >= 0; --r) at = keys[r] == best ? r : at;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      if (r != at) continue;
      slot = {lane * R + r, values[r]};
      keys[r] = 0;
    }
    *greatest = GreatestKey(keys);
  }
  return {__shfl_sync(kAll, slot.id, owner), __shfl_sync(kAll, slot.value, owner)};
}

__device__ float WarpSum(float value) {
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) value += __shfl_xor_sync(kAll, value, step);
  return value;
}

__device__ float WarpMax(float value) {
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) value = fmaxf(value, __shfl_xor_sync(kAll, value, step));
  return value;
}

// Of the slot that is the lane's; lanes without one have `value` 0.
__device__ float WeightOf(const Rule& rule, float value, bool has_slot) {
  if (rule.sigmoid) return __fdividef(value, WarpSum(value) + rule.epsilon) * rule.scale;
  const float greatest = WarpMax(has_slot ? value : -INFINITY);
  const float exponential = has_slot ? __expf(value - greatest) : 0;
  return __fdividef(exponential, WarpSum(exponential));
}

// Lane l has experts l * R to l * R + R - 1, so that a group of an eighth of the experts is four lanes.
template <int R, typename Logit>
__global__ void __launch_bounds__(kLanes* kWarps) TopK(Rows rows, Rule rule) {
  const int lane = threadIdx.x % kLanes;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * kWarps;
  float bias[R];
  LoadLogits(rows.bias + lane * R, bias);
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kLanes; row < rows.count; row += warps) {
    float values[R];
    LoadLogits(static_cast<const Logit*>(rows.logits) + row * (kLanes * R) + lane * R, values);
    float biased[R];
    uint32_t keys[R];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      if (rule.sigmoid) values[r] = __fdividef(1, 1 + __expf(-values[r]));
      biased[r] = values[r] + bias[r];
      keys[r] = KeyOf(biased[r]);
    }
    if (rule.top_groups > 0) DropGroups(biased, lane, rule.top_groups, keys);

    uint32_t greatest = GreatestKey(keys);
    Slot own = {0, 0};
    for (int s = 0; s < rule.top_k; ++s) {
      const Slot slot = TakeBest(values, lane, keys, &greatest);
      if (lane == s) own = slot;
    }
    const bool has_slot = lane < rule.top_k;
    const float weight = WeightOf(rule, own.value, has_slot);
    if (has_slot) {
      rows.ids[row * rule.top_k + lane] = own.id;
      rows.weights[row * rule.top_k + lane] = weight;
    }
  }
}

__global__ void __launch_bounds__(kCountThreads)
    Bincount(const int32_t* ids, int64_t count, int experts, int32_t* counts) {
  __shared__ int32_t own[kMaxExperts];
  for (int e = threadIdx.x; e < experts; e += kCountThreads) own[e] = 0;
  __syncthreads();
  const int64_t threads = static_cast<int64_t>(gridDim.x) * kCountThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kCountThreads + threadIdx.x; i < count; i += threads) {
    atomicAdd(&own[ids[i]], 1);
  }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += kCountThreads) {
    if (own[e] != 0) atomicAdd(&counts[e], own[e]);
  }
}

template <int R>
void LaunchTopK(const Rows& rows, const Rule& rule, DType dtype, unsigned blocks, CUstream_st* stream) {
  if (dtype == DType::kF32) {
    TopK<R, float><<<blocks, kLanes * kWarps, 0, stream>>>(rows, rule);
  } else {
    TopK<R, uint16_t><<<blocks, kLanes * kWarps, 0, stream>>>(rows, rule);
  }
}

bool IsKnown(const RouteSpec& spec) {
  if (spec.top_k > kLanes) return false;
  if (spec.score == routing::Score::kLogit) {
    return spec.weight == routing::Weight::kSoftmaxOfSelected && !routing::GroupsActive(spec) && !spec.normalize &&
           spec.scale == 1;
  }
  const bool groups_known = !routing::GroupsActive(spec) ||
                            (spec.num_groups == kGroups && spec.group_score == routing::GroupScore::kTop2Sum &&
                             spec.group_score_biased && spec.dropped_group_fill == routing::DroppedGroupFill::kNegInf);
  return spec.score == routing::Score::kSigmoid && spec.weight == routing::Weight::kScore && spec.normalize &&
         spec.normalize_min == 0 && !spec.scale_before_bias && groups_known;
}

unsigned Blocks(int64_t work, int64_t work_of_block, int64_t most) {
  return static_cast<unsigned>(std::min((work + work_of_block - 1) / work_of_block, most));
}

absl::Status LaunchError(cudaError_t error) {
  return absl::InternalError(absl::StrCat("cannot launch the two-kernel router: ", cudaGetErrorString(error)));
}

}  // namespace

absl::Status EnqueueTwoKernelRouter(const RouteSpec& spec, const routing::RouteInput& input,
                                    const routing::RouteOutput& output, int32_t* counts, CUstream_st* stream) {
  if (!IsKnown(spec)) return absl::UnimplementedError("the two-kernel router has no such router");
  if (input.rows == 0) return absl::OkStatus();
  int device = 0;
  int multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (error != cudaSuccess) return LaunchError(error);

  const Rows rows = {input.logits, input.bias, static_cast<int32_t*>(output.ids), static_cast<float*>(output.weights),
                     input.rows};
  const bool sigmoid = spec.score == routing::Score::kSigmoid;
  const int top_groups = routing::GroupsActive(spec) ? spec.top_groups : 0;
  const Rule rule = {sigmoid, spec.top_k, top_groups, spec.normalize_epsilon, spec.scale};
  // As many as a multiprocessor holds of them, at 16 blocks of 4 warps.
  const unsigned blocks = Blocks(input.rows, kWarps, int64_t{16} * multiprocessors);
  switch (spec.num_experts) {
    case 64:
      LaunchTopK<2>(rows, rule, input.logits_dtype, blocks, stream);
      break;
    case 128:
      LaunchTopK<4>(rows, rule, input.logits_dtype, blocks, stream);
      break;
    case 256:
      LaunchTopK<8>(rows, rule, input.logits_dtype, blocks, stream);
      break;
    case 384:
      LaunchTopK<12>(rows, rule, input.logits_dtype, blocks, stream);
      break;
    case 512:
      LaunchTopK<16>(rows, rule, input.logits_dtype, blocks, stream);
      break;
    default:
      return absl::UnimplementedError(
          absl::StrCat("the two-kernel router does not take ", spec.num_experts, " experts"));
  }
  const int64_t slots = input.rows * spec.top_k;
  Bincount<<<Blocks(slots, 4 * kCountThreads, int64_t{2} * multiprocessors), kCountThreads, 0, stream>>>(
      rows.ids, slots, spec.num_experts, counts);
  error = cudaGetLastError();
  return error == cudaSuccess ? absl::OkStatus() : LaunchError(error);
}

}  // namespace evenkeel::benchmarks
