#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evenkeel/v1/balance_config.pb.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "job/layer_table.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::job {

// A job spec that has been checked and made explicit.
struct JobPlan {
  // Layers sorted by name, `balance` with every field set, defaults of the enums filled in.
  v1::JobSpec effective;
  LayerTable layers;
  // The config in force for each row of `layers`.
  std::vector<balance::BalanceConfig> balance;
  // XXH3-64 of the spec as asked for, its layers and overrides sorted: the same on all contributors that agree.
  uint64_t fingerprint = 0;
};

// Checks `spec` and fills in what it leaves open.
//   INVALID_ARGUMENT    a field is missing, malformed or out of range; the message names it and its value
//   RESOURCE_EXHAUSTED  a limit is exceeded; the message names it
//   UNIMPLEMENTED       the spec asks for what is not built yet
absl::StatusOr<JobPlan> PlanJob(const v1::JobSpec& spec, const v1::BalanceConfig& default_balance,
                                const v1::Limits& limits);

// The plan of a spec that PlanJob made effective earlier (and that came back from the store). Limits may have changed
// since and are not asked. INVALID_ARGUMENT or UNIMPLEMENTED as above, when it is no such spec.
absl::StatusOr<JobPlan> PlanStoredJob(const v1::JobSpec& effective, uint64_t fingerprint);

// What can be changed of `spec`, as a change that holds from the first step on.
v1::ConfigChange ChangeOf(const v1::JobSpec& spec);

// The same job with what `change` says, which is checked and made explicit as PlanJob does that of a spec.
// INVALID_ARGUMENT as there.
absl::StatusOr<JobPlan> WithChange(JobPlan plan, const v1::ConfigChange& change);

// One sentence on the first field in which two effective specs differ; empty when they are equal. A world_size or
// tokens_per_step that only one of them tells is no difference.
std::string FirstDifference(const v1::JobSpec& ours, const v1::JobSpec& theirs);

// `limits` with the defaults of coordinator_config.proto for absent fields.
v1::Limits WithDefaults(const v1::Limits& limits);

// `membership` with the defaults of job.proto for absent fields.
v1::Membership MembershipWithDefaults(const v1::Membership& membership);

// Limits that no job exceeds: for a job that no coordinator is asked to hold.
v1::Limits NoLimits();

}  // namespace evenkeel::job
