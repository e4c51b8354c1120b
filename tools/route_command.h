#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel route: which experts the tokens of a logits file choose, with which weights.
extern const Command kRouteCommand;

}  // namespace evenkeel::tools
