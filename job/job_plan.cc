#include "job/job_plan.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "config/balance_config.h"
#include "config/route_spec.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/message_differencer.h"
#include "xxhash.h"

namespace evenkeel::job {
namespace {

constexpr int kMaxContributors = 65536;
constexpr int kMaxJobName = 128;
constexpr int kMaxLayerName = 256;

absl::Status Invalid(absl::string_view message) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, message);
}

absl::Status NotBuiltYet(absl::string_view message) {
  return ServiceError(absl::StatusCode::kUnimplemented, v1::ErrorDetail::NOT_SUPPORTED, message);
}

absl::Status OverLimit(absl::string_view limit, int64_t allowed, absl::string_view what, int64_t asked) {
  return ServiceError(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED,
                      absl::StrCat(what, " is ", asked, ", over this coordinator's limits.", limit, " of ", allowed));
}

// Prefixes an error of a deeper check with the place it was found at.
absl::Status At(absl::string_view place, const absl::Status& status) {
  return Invalid(absl::StrCat(place, ": ", status.message()));
}

absl::Status CheckName(const std::string& name) {
  if (name.empty() || name.size() > kMaxJobName) {
    return Invalid(absl::StrCat("job.name has ", name.size(), " bytes; 1 to ", kMaxJobName, " are allowed"));
  }
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("._/-", absl::string_view(&c, 1))) {
      return Invalid(
          absl::StrCat("job.name: \"", absl::CHexEscape(name), "\" holds other characters than A-Za-z0-9._/-"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLayer(const v1::LayerSpec& layer) {
  if (layer.name().empty() || layer.name().size() > kMaxLayerName) {
    return Invalid(
        absl::StrCat("job.layers.name has ", layer.name().size(), " bytes; 1 to ", kMaxLayerName, " are allowed"));
  }
  const std::string place = absl::StrCat("layer \"", absl::CHexEscape(layer.name()), "\"");
  if (layer.num_experts() < 1 || layer.num_experts() > balance::kMaxExperts) {
    return Invalid(
        absl::StrCat(place, ": num_experts is ", layer.num_experts(), "; 1 to ", balance::kMaxExperts, " are allowed"));
  }
  if (layer.top_k() < 1 || layer.top_k() > layer.num_experts()) {
    return Invalid(absl::StrCat(place, ": top_k is ", layer.top_k(), "; 1 to num_experts (", layer.num_experts(),
                                ") are allowed"));
  }
  if (layer.streams() < 0 || layer.streams() > kMaxStreams) {
    return Invalid(absl::StrCat(place, ": streams is ", layer.streams(), "; 0 to ", kMaxStreams, " are allowed"));
  }
  if (!v1::LayerSpec::Accumulator::Kind_IsValid(layer.accumulator())) {
    return Invalid(absl::StrCat(place, ": accumulator: ", layer.accumulator(), " is unknown"));
  }
  if (layer.accumulator() > v1::LayerSpec::Accumulator::COUNT) {
    return NotBuiltYet(absl::StrCat(place, ": accumulator ", layer.accumulator(), " is not built yet; use COUNT"));
  }
  if (layer.has_route()) {
    const absl::StatusOr<routing::RouteSpec> route = config::RouteSpecFromProto(layer.route());
    if (!route.ok()) return At(absl::StrCat(place, ": route"), route.status());
    if (route->num_experts != layer.num_experts() || route->top_k != layer.top_k()) {
      return Invalid(absl::StrCat(place, ": route has num_experts ", route->num_experts, " and top_k ", route->top_k,
                                  ", the layer ", layer.num_experts(), " and ", layer.top_k()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPolicies(const v1::JobSpec& spec) {
  if (!v1::JobSpec::Mode::Kind_IsValid(spec.mode())) {
    return Invalid(absl::StrCat("job.mode: ", spec.mode(), " is unknown"));
  }
  if (!v1::JobSpec::SkipPolicy::Kind_IsValid(spec.skip_policy())) {
    return Invalid(absl::StrCat("job.skip_policy: ", spec.skip_policy(), " is unknown"));
  }
  if (!v1::JobSpec::MissingPolicy::Kind_IsValid(spec.missing_policy())) {
    return Invalid(absl::StrCat("job.missing_policy: ", spec.missing_policy(), " is unknown"));
  }
  if (!v1::JobSpec::Durability::Kind_IsValid(spec.durability())) {
    return Invalid(absl::StrCat("job.durability: ", spec.durability(), " is unknown"));
  }
  if (!v1::JobSpec::InvariantPolicy::Kind_IsValid(spec.invariant_policy())) {
    return Invalid(absl::StrCat("job.invariant_policy: ", spec.invariant_policy(), " is unknown"));
  }
  if (spec.durability() > v1::JobSpec::Durability::SYNC) {
    return NotBuiltYet(absl::StrCat("job.durability ", spec.durability(), " is not built yet; use SYNC"));
  }
  if (spec.lag() < 0 || spec.lag() > 1)
    return Invalid(absl::StrCat("job.lag is ", spec.lag(), "; 0 and 1 are allowed"));
  return absl::OkStatus();
}

absl::Status CheckSizes(const v1::JobSpec& spec) {
  if (spec.contributors() < 1 || spec.contributors() > kMaxContributors) {
    return Invalid(
        absl::StrCat("job.contributors is ", spec.contributors(), "; 1 to ", kMaxContributors, " are allowed"));
  }
  if (spec.world_size() != 0 && spec.world_size() < spec.contributors()) {
    return Invalid(absl::StrCat("job.world_size is ", spec.world_size(), "; it must be at least job.contributors (",
                                spec.contributors(), "), or 0"));
  }
  if (spec.layers_size() == 0) return Invalid("job.layers is empty; a job has at least one layer");
  return absl::OkStatus();
}

// The names and values of the deadlines.
absl::Status CheckMembership(const v1::JobSpec& spec) {
  constexpr uint64_t kLongest = uint64_t{30} * 24 * 3600 * 1000;
  const v1::Membership membership = MembershipWithDefaults(spec.membership());
  const std::pair<const char*, uint64_t> deadlines[] = {
      {"heartbeat_timeout_ms", membership.heartbeat_timeout_ms()},
      {"straggler_deadline_ms", membership.straggler_deadline_ms()},
      {"step_deadline_ms", membership.step_deadline_ms()},
      {"recovery_grace_ms", membership.recovery_grace_ms()},
  };
  for (const auto& [name, milliseconds] : deadlines) {
    if (milliseconds <= kLongest) continue;
    return Invalid(
        absl::StrCat("job.membership.", name, " is ", milliseconds, "; 0 to ", kLongest, " (30 days) are allowed"));
  }
  if (membership.min_contributors() >= 1 && membership.min_contributors() <= spec.contributors())
    return absl::OkStatus();
  return Invalid(absl::StrCat("job.membership.min_contributors is ", membership.min_contributors(), "; 1 to ",
                              spec.contributors(), " (job.contributors) are allowed"));
}

absl::Status CheckLimits(const v1::JobSpec& spec, const v1::Limits& limits) {
  if (spec.contributors() > limits.max_contributors()) {
    return OverLimit("max_contributors", limits.max_contributors(), "job.contributors", spec.contributors());
  }
  if (spec.layers_size() > limits.max_layers()) {
    return OverLimit("max_layers", limits.max_layers(), "the number of job.layers", spec.layers_size());
  }
  int64_t experts = 0;
  for (const v1::LayerSpec& layer : spec.layers()) {
    experts += int64_t{std::min(StreamsOf(layer), kMaxStreams)} * layer.num_experts();
  }
  if (experts > limits.max_experts()) {
    return OverLimit("max_experts", limits.max_experts(), "the number of experts of all job.layers", experts);
  }
  return absl::OkStatus();
}

// What holds for a spec whatever the coordinator's limits and defaults are.
absl::Status CheckSpec(const v1::JobSpec& spec) {
  EVENKEEL_RETURN_IF_ERROR(CheckName(spec.name()));
  EVENKEEL_RETURN_IF_ERROR(CheckSizes(spec));
  EVENKEEL_RETURN_IF_ERROR(CheckPolicies(spec));
  return CheckMembership(spec);
}

// By name, with what every layer has spelt out.
absl::Status SortLayers(v1::JobSpec* spec) {
  std::sort(spec->mutable_layers()->begin(), spec->mutable_layers()->end(),
            [](const v1::LayerSpec& a, const v1::LayerSpec& b) { return a.name() < b.name(); });
  for (int i = 0; i < spec->layers_size(); ++i) {
    v1::LayerSpec* layer = spec->mutable_layers(i);
    EVENKEEL_RETURN_IF_ERROR(CheckLayer(*layer));
    if (i > 0 && layer->name() == spec->layers(i - 1).name()) {
      return Invalid(absl::StrCat("job.layers: \"", layer->name(), "\" is given twice"));
    }
    layer->set_streams(StreamsOf(*layer));
    layer->set_accumulator(v1::LayerSpec::Accumulator::COUNT);
  }
  std::sort(spec->mutable_overrides()->begin(), spec->mutable_overrides()->end(),
            [](const v1::LayerOverride& a, const v1::LayerOverride& b) { return a.layer() < b.layer(); });
  return absl::OkStatus();
}

void SpellOutPolicies(v1::JobSpec* spec) {
  if (spec->mode() == v1::JobSpec::Mode::KIND_UNSPECIFIED) spec->set_mode(v1::JobSpec::Mode::BALANCE);
  if (spec->skip_policy() == v1::JobSpec::SkipPolicy::KIND_UNSPECIFIED) {
    spec->set_skip_policy(v1::JobSpec::SkipPolicy::DROP);
  }
  if (spec->missing_policy() == v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED) {
    spec->set_missing_policy(v1::JobSpec::MissingPolicy::WAIT);
  }
  spec->set_durability(v1::JobSpec::Durability::SYNC);
}

absl::Status PlanBalance(JobPlan* plan) {
  const v1::JobSpec& spec = plan->effective;
  plan->balance.clear();
  int next_override = 0;
  for (const LayerTable::Row& layer : plan->layers.rows()) {
    if (layer.stream > 0) {
      plan->balance.push_back(plan->balance.back());
      continue;
    }
    v1::BalanceConfig message = spec.balance();
    if (next_override < spec.overrides_size() && spec.overrides(next_override).layer() == layer.name) {
      message = config::Overridden(message, spec.overrides(next_override++).balance());
    }
    absl::StatusOr<balance::BalanceConfig> config = config::BalanceConfigFromProto(message);
    absl::Status status = config.status();
    if (status.ok()) status = balance::Validate(*config, layer.num_experts);
    if (!status.ok()) return At(absl::StrCat("balance of layer \"", layer.name, "\""), status);
    plan->balance.push_back(*std::move(config));
  }
  if (next_override < spec.overrides_size()) {
    return Invalid(absl::StrCat("job.overrides: \"", absl::CHexEscape(spec.overrides(next_override).layer()),
                                "\" is not a layer of the job, or is given twice"));
  }
  return absl::OkStatus();
}

// `message` as the balancing of all layers that do not override it.
absl::Status SetBalance(const v1::BalanceConfig& message, JobPlan* plan) {
  const absl::StatusOr<balance::BalanceConfig> job_wide = config::BalanceConfigFromProto(message);
  if (!job_wide.ok()) return At("job.balance", job_wide.status());
  // Checked by itself, even where every layer overrides it; PlanBalance holds it against the layers.
  const absl::Status status = balance::Validate(*job_wide, std::max<int>(job_wide->target.size(), 1));
  if (!status.ok()) return At("job.balance", status);
  *plan->effective.mutable_balance() = config::BalanceConfigToProto(*job_wide);
  return PlanBalance(plan);
}

uint64_t Fingerprint(const v1::JobSpec& spec) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace

v1::Limits WithDefaults(const v1::Limits& limits) {
  v1::Limits filled;
  filled.set_max_jobs(64);
  filled.set_max_contributors(4096);
  filled.set_max_layers(1024);
  filled.set_max_experts(262144);
  filled.set_max_message_bytes(4 << 20);
  filled.set_max_connections(8192);
  filled.set_max_buffer_bytes(int64_t{2} << 30);
  filled.set_max_silence_seconds(80);
  filled.set_max_connection_age_seconds(3600);
  filled.MergeFrom(limits);
  return filled;
}

v1::Membership MembershipWithDefaults(const v1::Membership& membership) {
  v1::Membership filled;
  filled.set_heartbeat_timeout_ms(60'000);
  filled.set_straggler_deadline_ms(30'000);
  filled.set_step_deadline_ms(600'000);
  filled.set_recovery_grace_ms(120'000);
  filled.set_min_contributors(1);
  filled.MergeFrom(membership);
  return filled;
}

v1::Limits NoLimits() {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  v1::Limits limits;
  limits.set_max_jobs(kMost);
  limits.set_max_contributors(kMost);
  limits.set_max_layers(kMost);
  limits.set_max_experts(kMost);
  limits.set_max_message_bytes(kMost);
  return limits;
}

absl::StatusOr<JobPlan> PlanJob(const v1::JobSpec& spec, const v1::BalanceConfig& default_balance,
                                const v1::Limits& limits) {
  EVENKEEL_RETURN_IF_ERROR(CheckSpec(spec));
  EVENKEEL_RETURN_IF_ERROR(CheckLimits(spec, limits));
  JobPlan plan;
  plan.effective = spec;
  EVENKEEL_RETURN_IF_ERROR(SortLayers(&plan.effective));
  SpellOutPolicies(&plan.effective);
  plan.fingerprint = Fingerprint(plan.effective);
  *plan.effective.mutable_membership() = MembershipWithDefaults(spec.membership());
  plan.layers = LayerTable(plan.effective);
  EVENKEEL_RETURN_IF_ERROR(SetBalance(spec.has_balance() ? spec.balance() : default_balance, &plan));
  return plan;
}

absl::StatusOr<JobPlan> PlanStoredJob(const v1::JobSpec& effective, uint64_t fingerprint) {
  EVENKEEL_RETURN_IF_ERROR(CheckSpec(effective));
  JobPlan plan;
  plan.effective = effective;
  plan.fingerprint = fingerprint;
  *plan.effective.mutable_membership() = MembershipWithDefaults(effective.membership());
  EVENKEEL_RETURN_IF_ERROR(SortLayers(&plan.effective));
  plan.layers = LayerTable(plan.effective);
  EVENKEEL_RETURN_IF_ERROR(PlanBalance(&plan));
  return plan;
}

v1::ConfigChange ChangeOf(const v1::JobSpec& spec) {
  v1::ConfigChange change;
  *change.mutable_balance() = spec.balance();
  *change.mutable_overrides() = spec.overrides();
  change.set_mode(spec.mode());
  *change.mutable_membership() = MembershipWithDefaults(spec.membership());
  change.set_missing_policy(spec.missing_policy());
  return change;
}

absl::StatusOr<JobPlan> WithChange(JobPlan plan, const v1::ConfigChange& change) {
  *plan.effective.mutable_overrides() = change.overrides();
  plan.effective.set_mode(change.mode());
  if (change.has_membership()) *plan.effective.mutable_membership() = change.membership();
  if (change.missing_policy() != v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED) {
    plan.effective.set_missing_policy(change.missing_policy());
  }
  EVENKEEL_RETURN_IF_ERROR(CheckPolicies(plan.effective));
  EVENKEEL_RETURN_IF_ERROR(CheckMembership(plan.effective));
  EVENKEEL_RETURN_IF_ERROR(SetBalance(change.balance(), &plan));
  return plan;
}

namespace {

// What is checked only where somebody tells it, and which workers of earlier releases do not: no difference.
v1::JobSpec WithWhatItLeavesOpen(const v1::JobSpec& ours, v1::JobSpec theirs) {
  const auto reports = [](const v1::JobSpec& spec) {
    return spec.invariant_policy() <= v1::JobSpec::InvariantPolicy::REPORT;
  };
  if (ours.world_size() == 0 || theirs.world_size() == 0) theirs.set_world_size(ours.world_size());
  if (ours.tokens_per_step() == 0 || theirs.tokens_per_step() == 0) theirs.set_tokens_per_step(ours.tokens_per_step());
  if (reports(ours) && reports(theirs)) theirs.set_invariant_policy(ours.invariant_policy());
  return theirs;
}

}  // namespace

std::string FirstDifference(const v1::JobSpec& ours, const v1::JobSpec& theirs) {
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  if (differencer.Compare(ours, WithWhatItLeavesOpen(ours, theirs))) return "";
  return report.substr(0, report.find('\n'));
}

}  // namespace evenkeel::job
