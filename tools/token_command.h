#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

extern const Command kTokenCommand;

}  // namespace evenkeel::tools
