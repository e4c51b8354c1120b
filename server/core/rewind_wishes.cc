#include "server/core/rewind_wishes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/core/attendance.h"

namespace evenkeel::core {
namespace {

constexpr size_t kShown = 3;

}  // namespace

void RewindWishes::Put(absl::Time now, int contributor, Wish wish) {
  const bool is_first =
      std::none_of(wishes_.begin(), wishes_.end(), [](const auto& other) { return other.second.refusal.ok(); });
  if (is_first) since_ = now;
  // What all bring is kept once.
  const auto same = std::find_if(wishes_.begin(), wishes_.end(), [&wish](const auto& other) {
    const std::shared_ptr<const BroughtStates>& brought = other.second.brought;
    return wish.brought != nullptr && brought != nullptr && brought->checksum == wish.brought->checksum;
  });
  if (same != wishes_.end()) wish.brought = same->second.brought;
  wishes_[contributor] = std::move(wish);
}

const RewindWishes::Wish* RewindWishes::Find(int contributor) const {
  const auto found = wishes_.find(contributor);
  return found != wishes_.end() ? &found->second : nullptr;
}

absl::Status RewindWishes::RefusalOf(int contributor, uint64_t incarnation) const {
  const Wish* wish = Find(contributor);
  return wish != nullptr && wish->incarnation == incarnation ? wish->refusal : absl::OkStatus();
}

void RewindWishes::RefuseAll(const absl::Status& refusal) {
  for (auto& [contributor, wish] : wishes_) wish.refusal = refusal;
}

bool RewindWishes::Agree(int contributor, uint64_t next_step, absl::Span<const int> expected) const {
  const auto agrees = [&](int other) {
    if (other == contributor) return true;
    const Wish* wish = Find(other);
    return wish != nullptr && wish->next_step == next_step && wish->refusal.ok();
  };
  return std::all_of(expected.begin(), expected.end(), agrees) &&
         std::all_of(wishes_.begin(), wishes_.end(), [&](const auto& wish) { return agrees(wish.first); });
}

absl::StatusOr<std::shared_ptr<const BroughtStates>> RewindWishes::Brought() const {
  const std::pair<const int, Wish>* first = nullptr;
  for (const auto& wish : wishes_) {
    if (wish.second.brought == nullptr) continue;
    if (first == nullptr) first = &wish;
    if (wish.second.brought->checksum == first->second.brought->checksum) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "snapshot: contributor %d brings one of checksum %016x for step %d, and contributor %d one of checksum %016x; "
        "all that bring one must bring the same",
        first->first, first->second.brought->checksum, wish.second.next_step, wish.first,
        wish.second.brought->checksum));
  }
  return first != nullptr ? first->second.brought : nullptr;
}

std::string RewindWishes::Describe(int contributors) const {
  std::map<uint64_t, std::vector<int>> by_step;
  int asked = 0;
  for (const auto& [contributor, wish] : wishes_) {
    if (!wish.refusal.ok()) continue;
    by_step[wish.next_step].push_back(contributor);
    ++asked;
  }
  std::vector<std::pair<uint64_t, std::vector<int>>> steps(by_step.begin(), by_step.end());
  std::stable_sort(steps.begin(), steps.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  std::vector<std::string> parts;
  for (size_t i = 0; i < std::min(steps.size(), kShown); ++i) {
    parts.push_back(absl::StrCat("at step ", steps[i].first, " ", NamesOf(steps[i].second)));
  }
  if (steps.size() > kShown) parts.push_back(absl::StrCat("at other steps ", steps.size() - kShown, " groups"));
  return absl::StrCat(asked, " of ", contributors, " contributors have asked to go on: ", absl::StrJoin(parts, "; "));
}

}  // namespace evenkeel::core
