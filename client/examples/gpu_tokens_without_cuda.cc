#include "client/examples/gpu_tokens.h"

namespace text_worker {

bool HasGpu() { return false; }

evenkeel::Result<std::unique_ptr<TokenSource>> OnGpu(std::unique_ptr<TokenSource>, int) {
  return evenkeel::Status(evenkeel::StatusCode::kUnimplemented, "text_worker was built without CUDA");
}

}  // namespace text_worker
