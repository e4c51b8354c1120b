#pragma once

#include <string>

#include "tools/report/run_picture.h"

namespace evenkeel::tools {

// A whole HTML page about a run: one file without scripts and without anything from elsewhere, light or dark as the
// reader's system is, for the screen and for paper. Names and messages are escaped. The same picture gives the same
// bytes. Pure.
std::string ReportPage(const RunPicture& picture);

}  // namespace evenkeel::tools
