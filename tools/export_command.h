#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel export: the state of a job into a file, whole or as the bias tensors of other software.
extern const Command kExportCommand;

}  // namespace evenkeel::tools
