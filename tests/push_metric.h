#pragma once

#include <string>

#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {

// How many pushes of `job` the coordinator has met with `result` (evenkeel_pushes_total) in this life.
double PushesWith(const EvenkeeldProcess& coordinator, const std::string& job, const std::string& result);

}  // namespace evenkeel::tests
