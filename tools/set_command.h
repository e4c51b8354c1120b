#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel set: changes the config of a job while it runs.
extern const Command kSetCommand;

}  // namespace evenkeel::tools
