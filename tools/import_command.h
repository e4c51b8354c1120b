#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel import: the bias tensors of other software into the state of a job.
extern const Command kImportCommand;

}  // namespace evenkeel::tools
