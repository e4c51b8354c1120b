#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel report: the pictures of a run as one HTML file.
extern const Command kReportCommand;

}  // namespace evenkeel::tools
