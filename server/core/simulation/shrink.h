#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "server/core/simulation/simulation.h"

namespace evenkeel::core::simulation {

// What is broken, of a complaint "who: what is broken: how", without its numbers: the same in any history that is
// broken in the same way.
std::string KindOf(absl::string_view complaint);

// A history that ends with the same kind of complaint as `failed`, of which no single fault can be left out, and no
// scenario be simpler, without the complaint; or, after `max_runs` histories, the smallest that was found. The same for
// the same report.
Report Shrink(const Report& failed, const MakeParts& make_parts, int max_runs = 2000);

}  // namespace evenkeel::core::simulation
