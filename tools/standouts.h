#pragma once

#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"

// What a person has to know of a job first. Pure functions.
namespace evenkeel::tools {

// Whether the job needs somebody: it has failed, waits for stragglers, or has contributors that are lost, late or to
// end. A summary does not tell a halt.
bool IsInTrouble(const v1::JobSummary& job);
// Likewise, or it is halted.
bool IsInTrouble(const v1::DescribeJobResponse& response);

// Whether a contributor is not what it should be to the open step: failed, lost, late, or not back.
bool IsOutOfOrder(const v1::ContributorStatus& contributor);

// One sentence for each thing that stands out, the most serious first: a halt, a failure, stragglers, contributors that
// are lost or late, numbers that cannot be right, mixed versions, a stale bias, lost steps, dead experts, layers far
// above their noise floor, a bias at its cap. Empty where all is in order. What does not print is escaped.
std::vector<std::string> StandOuts(const v1::DescribeJobResponse& response);

// A layer is far above its noise floor beyond so many times that.
inline constexpr double kFarAboveNoise = 4;

}  // namespace evenkeel::tools
