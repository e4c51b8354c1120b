#pragma once

#include <memory>

#include "client/examples/token_source.h"
#include "evenkeel/status.h"

namespace text_worker {

// Whether CUDA's GPU 0 is there, and one that Evenkeel's kernels can be built for (compute capability 8.0 or newer).
// False where this was built without CUDA.
bool HasGpu();

// What `source` gives, in the memory of GPU `device`: copied there on the legacy default stream, which a Worker routes
// on unless it is told another. INTERNAL, with CUDA's reason, here or in Tokens; UNIMPLEMENTED where this was built
// without CUDA.
evenkeel::Result<std::unique_ptr<TokenSource>> OnGpu(std::unique_ptr<TokenSource> source, int device);

}  // namespace text_worker
