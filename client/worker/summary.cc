#include "client/worker/summary.h"

#include <map>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/worker/name_list.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/layer_table.h"
#include "job/snapshot.h"
#include "job/zero_bias.h"

namespace evenkeel::client {
namespace {

// "61 layers x 256 experts x top 8", of each shape that there is; "x 2 streams" where there are several.
std::string Layers(const v1::JobSpec& job) {
  std::map<std::tuple<int, int, int>, int> shapes;
  for (const v1::LayerSpec& layer : job.layers()) {
    ++shapes[{layer.num_experts(), layer.top_k(), job::StreamsOf(layer)}];
  }
  std::vector<std::string> parts;
  for (const auto& [shape, layers] : shapes) {
    const auto [experts, top_k, streams] = shape;
    parts.push_back(absl::StrCat(layers, layers == 1 ? " layer" : " layers", " x ", experts, " experts x top ", top_k,
                                 streams > 1 ? absl::StrCat(" x ", streams, " streams") : ""));
  }
  return absl::StrJoin(parts, ", ");
}

std::string Cap(const v1::BalanceConfig& balance) {
  if (balance.cap() <= 0) return "no cap";
  return absl::StrCat("cap ", balance.cap(), " ", v1::BalanceConfig::CapMode_Name(balance.cap_mode()));
}

// " (COSINE)", of a rate that changes.
std::string ScheduleOf(const v1::BalanceConfig& balance) {
  const v1::Schedule::Kind kind = balance.schedule().kind();
  if (!balance.has_schedule() || kind == v1::Schedule::CONSTANT) return "";
  return absl::StrCat(" (", v1::Schedule::Kind_Name(kind), ")");
}

std::string Rule(const v1::JobSpec& job) {
  if (job.mode() == v1::JobSpec::Mode::OBSERVE) return absl::StrCat("observed, without a bias, lag ", job.lag());
  const v1::BalanceConfig& balance = job.balance();
  std::string rule = absl::StrCat("rule ", v1::BalanceConfig::Rule_Name(balance.rule()), ", rate ", balance.rate(),
                                  ScheduleOf(balance), ", momentum ", balance.momentum(), ", center ",
                                  v1::BalanceConfig::Center_Name(balance.center()), ", ", Cap(balance), ", warm-up ",
                                  balance.warmup_steps(), " steps, lag ", job.lag());
  if (balance.frozen() || job.mode() == v1::JobSpec::Mode::FROZEN) absl::StrAppend(&rule, ", frozen");
  if (job.overrides_size() > 0) absl::StrAppend(&rule, ", other settings for ", job.overrides_size(), " of the layers");
  return rule;
}

// The names of all layers, or of those that this rank counts, in protocol order.
std::string Names(const LayerTable& layers, bool owned) {
  std::vector<absl::string_view> names;
  for (const int index : layers.protocol_order()) {
    if (!owned || layers[index].owned) names.push_back(layers[index].name);
  }
  return NameList(names);
}

std::string Place(const WorkerOptions& options, const Group& group) {
  std::string place = absl::StrCat("rank ", options.rank, " of ", options.world_size);
  if (group.size() > 1) {
    absl::StrAppend(&place, ", ", group.is_leader() ? "leader" : "member", " of group ", options.group.name, " ",
                    group.index, " of ", group.count, " (ranks ", absl::StrJoin(group.ranks, " "), ")");
  }
  return place;
}

// What happens while the coordinator is away.
std::string Loss(const LossOptions& loss) {
  const std::string after = absl::StrCat(" after ", loss.patience.count(), " ms");
  switch (loss.on_loss) {
    case OnLoss::kHold:
      return absl::StrCat("held", after);
    case OnLoss::kWait:
      return "waited for";
    case OnLoss::kLocal:
      return absl::StrCat("moved on by the rank", after);
    case OnLoss::kFail:
      return absl::StrCat("an error", after);
  }
  return "";
}

std::string Committer(const WorkerOptions& options, const Group& group) {
  if (!options.coordinator.empty()) {
    return absl::StrCat("the coordinator at ", options.coordinator, " (a lost bias is ", Loss(options.loss), ")");
  }
  return group.size() > 1 ? "every rank, without a coordinator" : "this process, without a coordinator";
}

}  // namespace

std::string Summary(const WorkerOptions& options, const Group& group, const LayerTable& layers,
                    const v1::JobSpec& effective) {
  std::string summary = absl::StrCat("evenkeel: job ", effective.name(), ", ", Place(options, group), "; committed by ",
                                     Committer(options, group), "; ", Rule(effective), "; ", Layers(effective), ": ",
                                     Names(layers, /*owned=*/false));
  if (layers.num_owned() < layers.size()) {
    absl::StrAppend(&summary, "; of which this rank counts ", layers.num_owned(), ": ", Names(layers, /*owned=*/true));
  }
  return summary;
}

std::string StateWarning(const v1::JoinRequest& join) {
  const absl::StatusOr<job::SnapshotStates> states = job::OpenSnapshot(join.snapshot());
  if (!states.ok()) return "";
  const v1::JobState& message = states->state;
  const absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(message.spec(), message.fingerprint());
  if (!plan.ok()) return "";
  const absl::StatusOr<job::JobState> state = job::FromProto(*plan, message);
  if (!state.ok()) return "";
  std::string warning;
  for (const v1::Violation& violation : job::FindZeroBias(*plan, *state)) {
    absl::StrAppend(&warning, "; WARNING: the state of the checkpoint: ", violation.message());
  }
  return warning;
}

}  // namespace evenkeel::client
