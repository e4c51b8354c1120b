#include "client/source/group_meeting.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/link/version_check.h"

namespace evenkeel::client {
namespace {

constexpr uint32_t kProtocolVersion = 1;

}  // namespace

absl::Status WithRank(int place, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("rank ", place, " of the group: ", status.message()));
}

GroupMeeting::GroupMeeting(const v1::JobSpec& spec, const GroupMember& member, Commits commits,
                           std::unique_ptr<Rendezvous> rendezvous)
    : spec_(spec), member_(member), commits_(commits), rendezvous_(std::move(rendezvous)) {}

v1::GroupHello GroupMeeting::Hello(uint64_t next_step, const absl::Status& status,
                                   const v1::JoinResponse& joined) const {
  v1::GroupHello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_incarnation(member_.incarnation);
  hello.set_fingerprint(member_.fingerprint);
  hello.set_next_step(next_step);
  hello.set_state_checksum(member_.state);
  hello.set_join_code(static_cast<int>(status.code()));
  hello.set_join_message(std::string(status.message()));
  if (status.ok() && commits_ == Commits::kLeader && leads()) *hello.mutable_joined() = joined;
  return hello;
}

absl::Status GroupMeeting::CheckHello(int place, const std::string& bytes, uint64_t next_step,
                                      v1::GroupHello* hello) const {
  if (!hello->ParseFromString(bytes)) {
    return WithRank(place, absl::InvalidArgumentError("what it left at the rendezvous is no greeting of this library"));
  }
  if (hello->protocol_version() != kProtocolVersion) {
    return WithRank(place, absl::InvalidArgumentError(absl::StrCat("it speaks version ", hello->protocol_version(),
                                                                   " of the protocol, this rank ", kProtocolVersion)));
  }
  if (hello->join_code() != 0) {
    return WithRank(place, absl::Status(static_cast<absl::StatusCode>(hello->join_code()), hello->join_message()));
  }
  if (hello->fingerprint() != member_.fingerprint) {
    return WithRank(place, absl::InvalidArgumentError(
                               "its layers or its balance config are not this rank's; they must be the same"));
  }
  if (hello->next_step() != next_step) {
    return WithRank(place, absl::InvalidArgumentError(
                               absl::StrCat("its next_step is ", hello->next_step(), ", this rank's ", next_step)));
  }
  if (commits_ == Commits::kEveryRank && hello->state_checksum() != member_.state) {
    return WithRank(place, absl::InvalidArgumentError(
                               absl::StrFormat("the state that it goes on from has the checksum %016x, this rank's "
                                               "%016x; all must bring the same",
                                               hello->state_checksum(), member_.state)));
  }
  return absl::OkStatus();
}

absl::Status GroupMeeting::Join(BiasSource* own, uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  // Whatever comes of it, the others wait to be told.
  const absl::Status status = own != nullptr ? own->Join(next_step, deadline, joined) : absl::OkStatus();
  const std::string hello = Hello(next_step, status, *joined).SerializeAsString();
  const absl::StatusOr<std::vector<std::string>> all = rendezvous_->Exchange("join", hello, deadline);
  EVENKEEL_RETURN_IF_ERROR(status);
  EVENKEEL_RETURN_IF_ERROR(all.status());
  std::vector<v1::GroupHello> hellos(all->size());
  for (size_t place = 0; place < all->size(); ++place) {
    EVENKEEL_RETURN_IF_ERROR(CheckHello(static_cast<int>(place), (*all)[place], next_step, &hellos[place]));
  }
  if (own != nullptr) return absl::OkStatus();
  joined->Swap(hellos[0].mutable_joined());
  EVENKEEL_RETURN_IF_ERROR(VerifyLayers(spec_, joined->effective()));
  if (joined->has_previous()) EVENKEEL_RETURN_IF_ERROR(VerifyVersion(spec_, joined->previous()));
  return VerifyVersion(spec_, joined->version());
}

}  // namespace evenkeel::client
