#pragma once

namespace evenkeel::job {

// Versions of a job that a coordinator remembers, the newest; beside them, of each contributor the one that it named
// last. So a step may be routed by a version that is newer than what its contributor named before, if no more than this
// many steps lie between the two when it is delivered.
inline constexpr int kKeptVersions = 64;

}  // namespace evenkeel::job
