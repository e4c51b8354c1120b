#include "client/worker/source_factory.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/nccl_reducer.h"
#include "client/reduce/store.h"
#include "client/source/background_source.h"
#include "client/source/coordinator_source.h"
#include "client/source/device_group_source.h"
#include "client/source/group_source.h"
#include "client/source/local_source.h"
#include "job/job_plan.h"
#include "job/snapshot.h"
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

// A device that moves the bias by itself knows of no averages that it has not made.
absl::Status CheckDeviceState(const WorkerOptions& options, const Group& group, const v1::JoinRequest& join) {
  const bool moves =
      options.device >= 0 && options.coordinator.empty() && (group.size() == 1 || options.group.reducer != "gloo");
  if (!moves || !join.has_snapshot()) return absl::OkStatus();
  return absl::UnimplementedError(
      "state: a device that moves the bias by itself begins at step 1; name a coordinator, or count on the host "
      "(device = -1)");
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

enum class Reduces { kNot, kOnHost, kOnDevice };

absl::StatusOr<Reduces> ReducesOf(const WorkerOptions& options, const Group& group, bool has_device) {
  const std::string& name = options.group.reducer;
  if (!name.empty() && name != "gloo" && name != "nccl") {
    return absl::InvalidArgumentError(
        absl::StrCat("group.reducer is \"", absl::CHexEscape(name), "\"; \"gloo\" and \"nccl\" are allowed"));
  }
  const bool on_device = name.empty() ? has_device : name == "nccl";
  if (on_device && !has_device) {
    return absl::InvalidArgumentError("group.reducer is \"nccl\", which needs a device; set device, or use \"gloo\"");
  }
  if (options.group.nccl_comm != nullptr && !on_device) {
    return absl::InvalidArgumentError("group.nccl_comm is given, and the group does not reduce by \"nccl\"");
  }
  if (group.size() == 1) return Reduces::kNot;
  return on_device ? Reduces::kOnDevice : Reduces::kOnHost;
}

absl::StatusOr<std::unique_ptr<BiasSource>> ForOneRank(const WorkerOptions& options, const Group& group,
                                                       const v1::JoinRequest& join) {
  if (options.coordinator.empty() && join.has_snapshot()) {
    EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates checkpoint, job::OpenSnapshot(join.snapshot()));
    return LocalSource::MakeFrom(join.job(), checkpoint, group.ranks);
  }
  if (options.coordinator.empty()) return LocalSource::Make(join.job(), join.initial_bias(), group.ranks);
  LinkOptions link;
  link.credentials = Credentials::Of(options);
  return std::make_unique<CoordinatorSource>(options.coordinator, join, options.loss, link);
}

// On a device that moves the bias by itself nobody waits for what the host makes of it.
absl::StatusOr<std::unique_ptr<BiasSource>> BesideADevice(const WorkerOptions& options, const Group& group,
                                                          const v1::JoinRequest& join) {
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<BiasSource> source, ForOneRank(options, group, join));
  if (!options.coordinator.empty()) return source;
  return std::make_unique<BackgroundSource>(std::move(source));
}

// Of what all ranks of a group must have been told alike, which does not depend on what a coordinator makes of it.
absl::StatusOr<uint64_t> Fingerprint(const v1::JoinRequest& join) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(join.job(), v1::BalanceConfig(), job::NoLimits()));
  const std::string owned = absl::StrJoin(join.owned_layers(), "\n");
  const uint64_t fingerprint = XXH3_64bits_withSeed(owned.data(), owned.size(), plan.fingerprint);
  return XXH3_64bits_withSeed(join.initial_bias().data(), join.initial_bias_size() * sizeof(float), fingerprint);
}

absl::StatusOr<GroupMember> MemberOf(const Group& group, const v1::JoinRequest& join) {
  GroupMember member;
  member.place = group.place;
  member.incarnation = join.incarnation();
  member.state = join.snapshot().checksum();
  EVENKEEL_ASSIGN_OR_RETURN(member.fingerprint, Fingerprint(join));
  return member;
}

GroupSource::MakeReducer ByGloo(const WorkerOptions& options, const Group& group, const std::string& store,
                                Rendezvous* meeting) {
  GlooOptions gloo;
  gloo.rank = group.place;
  gloo.size = group.size();
  gloo.timeout = options.group.timeout;
  gloo.interface = options.group.interface;
  gloo.toward = HostOf(store);
  return [gloo, meeting] { return MakeGlooReducer(gloo, meeting); };
}

// Into `made`. The reducer is made of what the source's meeting has, which lives as long as the worker.
absl::Status ByNccl(const WorkerOptions& options, const Group& group, DeviceRuntime* runtime, Rendezvous* meeting,
                    WorkerSource* made) {
  EVENKEEL_ASSIGN_OR_RETURN(made->nccl, OpenNccl());
  NcclOptions nccl;
  nccl.rank = group.place;
  nccl.size = group.size();
  nccl.timeout = options.group.timeout;
  made->device.timeout = options.group.timeout;
  made->device.make_reducer = [nccl, library = made->nccl.get(), runtime, meeting,
                               comm = static_cast<NcclComm>(options.group.nccl_comm)] {
    return comm != nullptr ? AdoptNcclReducer(comm, nccl, *library) : MakeNcclReducer(nccl, *library, runtime, meeting);
  };
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerSource> MakeWorkerSource(const WorkerOptions& options, const Group& group,
                                              const v1::JoinRequest& join, DeviceRuntime* runtime) {
  using Versions = DeviceWorkspaceOptions::Versions;
  EVENKEEL_RETURN_IF_ERROR(CheckDivergence(options, group));
  EVENKEEL_RETURN_IF_ERROR(CheckDeviceState(options, group, join));
  if (!options.coordinator.empty()) {
    EVENKEEL_RETURN_IF_ERROR(CheckCredentials(Credentials::Of(options), options.coordinator));
  }
  EVENKEEL_ASSIGN_OR_RETURN(const Reduces reduces, ReducesOf(options, group, runtime != nullptr));
  const bool has_coordinator = !options.coordinator.empty();
  WorkerSource made;
  made.device.lag = options.lag;
  made.device.first_step = options.next_step;
  made.device.place = group.place;
  made.device.ranks = group.size();
  if (reduces == Reduces::kNot) {
    if (!has_coordinator) made.device.versions = Versions::kMade;
    EVENKEEL_ASSIGN_OR_RETURN(
        made.source, runtime != nullptr ? BesideADevice(options, group, join) : ForOneRank(options, group, join));
    return made;
  }

  const Commits commits = has_coordinator ? Commits::kLeader : Commits::kEveryRank;
  EVENKEEL_ASSIGN_OR_RETURN(const GroupMember member, MemberOf(group, join));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string store, StoreOf(options));
  EVENKEEL_ASSIGN_OR_RETURN(
      std::unique_ptr<Rendezvous> rendezvous,
      MakeRendezvous(store, PlaceOf(options, group), join.incarnation(), Credentials::Of(options)));
  Rendezvous* const meeting = rendezvous.get();
  std::unique_ptr<BiasSource> own;
  if (commits == Commits::kEveryRank || group.is_leader()) {
    EVENKEEL_ASSIGN_OR_RETURN(
        own, reduces == Reduces::kOnDevice ? BesideADevice(options, group, join) : ForOneRank(options, group, join));
  }
  if (reduces == Reduces::kOnDevice) {
    made.device.versions = has_coordinator ? Versions::kBroadcast : Versions::kMade;
    EVENKEEL_RETURN_IF_ERROR(ByNccl(options, group, runtime, meeting, &made));
    made.source =
        std::make_unique<DeviceGroupSource>(join.job(), member, commits, std::move(own), std::move(rendezvous));
  } else {
    made.source = std::make_unique<GroupSource>(join.job(), member, commits, std::move(own), std::move(rendezvous),
                                                ByGloo(options, group, store, meeting));
  }
  return made;
}

}  // namespace evenkeel::client
