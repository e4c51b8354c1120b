#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel watch: a running job, live, in the terminal.
extern const Command kWatchCommand;

}  // namespace evenkeel::tools
