#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel check-selection: how many selections differ in software that treats the bias otherwise.
extern const Command kCheckSelectionCommand;

}  // namespace evenkeel::tools
