#include "server/store/test_records.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"

namespace evenkeel::store {
namespace {

constexpr int kContributors = 2;

// Of the job; later than that of its versions, as after restarts.
uint64_t TestEpoch(uint64_t tag) { return tag + 1; }

core::VersionRecord TestVersion(uint64_t tag) { return {tag, /*epoch=*/1, tag % 3 != 0, ~tag}; }

std::vector<v1::Member> TestMembers(uint64_t tag) {
  std::vector<v1::Member> members(kContributors);
  for (int contributor = 0; contributor < kContributors; ++contributor) {
    members[contributor].set_contributor(contributor);
    members[contributor].set_incarnation(~tag - contributor);
    members[contributor].set_joined_after(tag - 1);
    members[contributor].add_ranks(contributor);
    members[contributor].add_replaced(tag);
  }
  return members;
}

}  // namespace

core::Write TestWrite(const std::string& job, uint64_t tag, int layers, int experts) {
  core::Write write;
  write.job = job;
  write.epoch = TestEpoch(tag);
  write.state = std::make_shared<v1::JobState>(TestState(job, tag, layers, experts));
  write.versions = {TestVersion(tag)};
  write.members = TestMembers(tag);
  return write;
}

core::JobRecord TestRecord(const std::string& job, uint64_t tag) {
  core::JobRecord record;
  record.state = TestState(job, tag);
  for (const uint64_t step : core::EarlierSteps(record.state, /*first_version=*/1))
    record.earlier.push_back(TestState(job, step));
  record.epoch = TestEpoch(tag);
  record.members = TestMembers(tag);
  const uint64_t first = tag > core::kKeptVersions ? tag - core::kKeptVersions + 1 : 1;
  for (uint64_t step = first; step <= tag; ++step) record.versions.push_back(TestVersion(step));
  return record;
}

std::string Text(const core::JobRecord& record) {
  std::string text = absl::StrCat("epoch ", record.epoch, "\n", record.state.DebugString());
  for (const v1::JobState& state : record.earlier) absl::StrAppend(&text, "earlier ", state.DebugString());
  for (const v1::Member& member : record.members) absl::StrAppend(&text, "member ", member.DebugString());
  for (const core::VersionRecord& version : record.versions) {
    absl::StrAppend(&text, "version ", version.step, " epoch ", version.epoch, " ok ", version.ok, " hash ",
                    version.state_hash, "\n");
  }
  return text;
}

std::string Text(const std::vector<core::JobRecord>& records) {
  std::string text;
  for (const core::JobRecord& record : records) absl::StrAppend(&text, Text(record));
  return text;
}

}  // namespace evenkeel::store
