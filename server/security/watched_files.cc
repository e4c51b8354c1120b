#include "server/security/watched_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace evenkeel::security {
namespace {

std::vector<FileStamp> StampsOf(const std::vector<std::string>& paths) {
  std::vector<FileStamp> stamps;
  std::transform(paths.begin(), paths.end(), std::back_inserter(stamps), StampOf);
  return stamps;
}

}  // namespace

absl::Status WatchedFiles::Add(std::vector<std::string> paths, std::function<absl::Status()> load) {
  // The stamps come first: what changes while it is read is read again.
  Group group = {std::move(paths), std::move(load), {}};
  group.stamps = StampsOf(group.paths);
  EVENKEEL_RETURN_IF_ERROR(group.load());
  groups_.push_back(std::move(group));
  return absl::OkStatus();
}

void WatchedFiles::Poll() {
  for (Group& group : groups_) {
    if (StampsOf(group.paths) != group.stamps) Load(&group);
  }
}

void WatchedFiles::Reload() {
  for (Group& group : groups_) Load(&group);
}

void WatchedFiles::Load(Group* group) {
  group->stamps = StampsOf(group->paths);
  const absl::Status status = group->load();
  if (status.ok()) {
    log_(InfoEvent("files_read", absl::StrCat("read again: ", absl::StrJoin(group->paths, ", "))));
  } else {
    log_(WarningEvent("files_refused", absl::StrCat("cannot use what is new, and goes on with what was read before: ",
                                                    status.message())));
  }
}

}  // namespace evenkeel::security
