#include "client/examples/gpu_tokens.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "cuda_runtime_api.h"

namespace text_worker {
namespace {

using evenkeel::Result;
using evenkeel::Status;
using evenkeel::StatusCode;

constexpr int kOldestMajor = 8;

Status Checked(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return Status();
  return Status(StatusCode::kInternal, std::string(call) + ": " + cudaGetErrorString(error));
}

// Memory of the GPU that grows to what is copied into it.
class GpuCopy {
 public:
  GpuCopy() = default;
  ~GpuCopy() { cudaFree(memory_); }
  GpuCopy(const GpuCopy&) = delete;
  GpuCopy& operator=(const GpuCopy&) = delete;

  // What reads the copy before runs first: it is on the same stream.
  Status Take(const void* host, size_t bytes) {
    Status status = bytes > size_ ? Grow(bytes) : Status();
    if (status.ok()) status = Checked("cudaMemcpy", cudaMemcpy(memory_, host, bytes, cudaMemcpyHostToDevice));
    return status;
  }

  const void* data() const { return memory_; }

 private:
  Status Grow(size_t bytes) {
    size_ = 0;
    Status status = Checked("cudaFree", cudaFree(std::exchange(memory_, nullptr)));
    if (status.ok()) status = Checked("cudaMalloc", cudaMalloc(&memory_, bytes));
    if (status.ok()) size_ = bytes;
    return status;
  }

  void* memory_ = nullptr;
  size_t size_ = 0;
};

class Source : public TokenSource {
 public:
  explicit Source(std::unique_ptr<TokenSource> host) : host_(std::move(host)) {}

  void BeginStep(uint64_t step) override { host_->BeginStep(step); }
  void Take(int64_t first, int64_t rows) override { host_->Take(first, rows); }

  Result<evenkeel::Tokens> Tokens(int layer) override {
    Result<evenkeel::Tokens> tokens = host_->Tokens(layer);
    if (!tokens.ok()) return tokens;
    Status status = logits_.Take(tokens->logits, sizeof(float) * tokens->rows * tokens->logits_stride);
    tokens->logits = logits_.data();
    if (status.ok() && tokens->valid_mask != nullptr) {
      status = mask_.Take(tokens->valid_mask, tokens->rows);
      tokens->valid_mask = static_cast<const uint8_t*>(mask_.data());
    }
    if (!status.ok()) return status;
    return tokens;
  }

 private:
  const std::unique_ptr<TokenSource> host_;
  GpuCopy logits_;
  GpuCopy mask_;
};

}  // namespace

bool HasGpu() {
  int major = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, /*device=*/0) == cudaSuccess &&
         major >= kOldestMajor;
}

Result<std::unique_ptr<TokenSource>> OnGpu(std::unique_ptr<TokenSource> source, int device) {
  Status status = Checked("cudaSetDevice", cudaSetDevice(device));
  if (!status.ok()) return status;
  return std::unique_ptr<TokenSource>(std::make_unique<Source>(std::move(source)));
}

}  // namespace text_worker
