#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel top-experts: the fullest experts of a job, or the emptiest.
extern const Command kTopExpertsCommand;

}  // namespace evenkeel::tools
