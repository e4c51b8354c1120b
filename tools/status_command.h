#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel status: what a running coordinator knows about its jobs.
extern const Command kStatusCommand;

}  // namespace evenkeel::tools
