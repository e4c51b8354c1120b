#include "client/worker/source_factory.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/store.h"
#include "client/source/coordinator_source.h"
#include "client/source/group_source.h"
#include "client/source/local_source.h"
#include "job/job_plan.h"
#include "xxhash.h"

namespace evenkeel::client {
namespace {

absl::Status CheckDivergence(const WorkerOptions& options, const Group& group) {
  const bool joined = !options.coordinator.empty() || group.size() == options.world_size;
  if (joined || options.group.allow_divergence) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "without a coordinator, ", group.size(), " of ", options.world_size,
      " ranks would move their bias by their own counts, and the replicas diverge; name a coordinator, set group.name "
      "to \"world\", or set group.allow_divergence"));
}

// Where the ranks of the group meet.
absl::StatusOr<std::string> StoreOf(const WorkerOptions& options) {
  if (!options.group.store.empty()) return options.group.store;
  if (!options.coordinator.empty()) return options.coordinator;
  return absl::InvalidArgumentError(
      "group.store is empty; without a coordinator it must say where the ranks of the group find each other");
}

GroupPlace PlaceOf(const WorkerOptions& options, const Group& group) {
  GroupPlace place;
  place.job = options.job;
  place.group = absl::StrCat(options.group.name, " ", group.index, " of ", group.count);
  place.rank = group.place;
  place.size = group.size();
  return place;
}

absl::StatusOr<std::unique_ptr<BiasSource>> ForOneRank(const WorkerOptions& options, const v1::JoinRequest& join) {
  if (options.coordinator.empty()) return LocalSource::Make(join.job());
  return std::make_unique<CoordinatorSource>(options.coordinator, join, options.loss);
}

// Of what all ranks of a group must have been told alike, which does not depend on what a coordinator makes of it.
absl::StatusOr<uint64_t> Fingerprint(const v1::JoinRequest& join) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(join.job(), v1::BalanceConfig(), job::NoLimits()));
  const std::string owned = absl::StrJoin(join.owned_layers(), "\n");
  return XXH3_64bits_withSeed(owned.data(), owned.size(), plan.fingerprint);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BiasSource>> MakeBiasSource(const WorkerOptions& options, const Group& group,
                                                           const v1::JoinRequest& join) {
  EVENKEEL_RETURN_IF_ERROR(CheckDivergence(options, group));
  if (group.size() == 1) return ForOneRank(options, join);

  const Commits commits = options.coordinator.empty() ? Commits::kEveryRank : Commits::kLeader;
  std::unique_ptr<BiasSource> inner;
  if (commits == Commits::kEveryRank || group.is_leader()) {
    EVENKEEL_ASSIGN_OR_RETURN(inner, ForOneRank(options, join));
  }
  GroupMember member;
  member.place = group.place;
  member.incarnation = join.incarnation();
  EVENKEEL_ASSIGN_OR_RETURN(member.fingerprint, Fingerprint(join));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string store, StoreOf(options));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<Rendezvous> rendezvous,
                            MakeRendezvous(store, PlaceOf(options, group), join.incarnation()));
  GlooOptions gloo;
  gloo.rank = group.place;
  gloo.size = group.size();
  gloo.timeout = options.group.timeout;
  gloo.interface = options.group.interface;
  gloo.toward = HostOf(store);
  Rendezvous* const meeting = rendezvous.get();
  return std::make_unique<GroupSource>(join.job(), member, commits, std::move(inner), std::move(rendezvous),
                                       [gloo, meeting] { return MakeGlooReducer(gloo, meeting); });
}

}  // namespace evenkeel::client
