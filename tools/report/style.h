#pragma once

#include <string>

namespace evenkeel::tools {

// The style sheet of a report, with a class for each level of load, light and dark. Pure.
std::string ReportStyle();

}  // namespace evenkeel::tools
