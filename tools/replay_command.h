#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel replay: the bias after every step of a record.
extern const Command kReplayCommand;

}  // namespace evenkeel::tools
