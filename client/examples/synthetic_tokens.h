#pragma once

#include <memory>

#include "client/examples/flags.h"
#include "client/examples/token_source.h"

namespace text_worker {

// Made-up logits and padding, as the flags of --synthetic say. INVALID_ARGUMENT where they contradict one another.
evenkeel::Result<std::unique_ptr<TokenSource>> SyntheticTokens(const Flags& flags);

}  // namespace text_worker
