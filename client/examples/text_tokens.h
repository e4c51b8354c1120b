#pragma once

#include <memory>

#include "client/examples/flags.h"
#include "client/examples/token_source.h"

namespace text_worker {

// The bytes of real text, through a ToyModel. Errors of ReadText, and INVALID_ARGUMENT for a text too short to share.
evenkeel::Result<std::unique_ptr<TokenSource>> TextTokens(const Flags& flags);

}  // namespace text_worker
