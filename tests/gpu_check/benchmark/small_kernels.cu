#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "kernels/routing/half.h"
#include "tests/gpu_check/benchmark/small_kernels.h"

namespace evenkeel::benchmarks {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

// SplitMix64 (Steele, Lea and Flood 2014) of a counter.
__device__ uint64_t RandomBits(uint64_t seed, int64_t index) {
  uint64_t z = seed + (static_cast<uint64_t>(index) + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// By Box and Muller: a radius of 24 bits in (0, 1], and an angle of 24 more.
__device__ float Normal(uint64_t bits) {
  const float radius = static_cast<float>((bits >> 40) + 1) * 0x1p-24f;
  const float turns = static_cast<float>((bits >> 16) & 0xffffff) * 0x1p-24f;
  return sqrtf(-2 * logf(radius)) * cospif(2 * turns);
}

__device__ void Store(float value, float* to) { *to = value; }
__device__ void Store(float value, uint16_t* to) { *to = routing::BFloat16FromFloat(value); }

template <typename Element>
__global__ void FillNormal(uint64_t seed, float scale, Element* to, int64_t count) {
  const int64_t threads = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += threads) {
    Store(scale * Normal(RandomBits(seed, i)), to + i);
  }
}

__global__ void DoNothing() {}

absl::Status Launched(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot launch ", kernel, ": ", cudaGetErrorString(error)));
}

}  // namespace

absl::Status EnqueueNormal(uint64_t seed, float scale, routing::DType dtype, void* to, int64_t count,
                           CUstream_st* stream) {
  if (count == 0) return absl::OkStatus();
  const unsigned blocks = static_cast<unsigned>(std::min((count + kThreads - 1) / kThreads, kMaxBlocks));
  if (dtype == routing::DType::kF32) {
    FillNormal<<<blocks, kThreads, 0, stream>>>(seed, scale, static_cast<float*>(to), count);
  } else {
    FillNormal<<<blocks, kThreads, 0, stream>>>(seed, scale, static_cast<uint16_t*>(to), count);
  }
  return Launched("FillNormal");
}

absl::Status EnqueueNothing(CUstream_st* stream) {
  DoNothing<<<1, 32, 0, stream>>>();
  return Launched("DoNothing");
}

}  // namespace evenkeel::benchmarks
