#include "server/core/simulation/disk.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace evenkeel::core::simulation {
namespace {

// Inserts `item`, or replaces the one with the same key, in a vector that ascends by `key`.
template <typename T, typename Key>
void Put(const T& item, Key key, std::vector<T>* items) {
  const auto place = std::lower_bound(items->begin(), items->end(), key(item),
                                      [&](const T& other, const auto& value) { return key(other) < value; });
  if (place != items->end() && key(*place) == key(item)) {
    *place = item;
  } else {
    items->insert(place, item);
  }
}

}  // namespace

void Disk::Trim(uint64_t newest, Kept* kept) {
  const uint64_t step = kept->record.state.version().step();
  const std::vector<uint64_t> needed = EarlierSteps(kept->record.state, /*first_version=*/0);
  for (auto state = kept->states.begin(); state != kept->states.end();) {
    const bool keep = step - state->first < newest || std::count(needed.begin(), needed.end(), state->first) > 0;
    state = keep ? std::next(state) : kept->states.erase(state);
  }
}

void Disk::PutState(const Write& write, Kept* kept) {
  const uint64_t step = write.state->version().step();
  if (write.begins_anew) {
    kept->states.clear();
    kept->record.versions.clear();
    for (const v1::JobState& state : write.earlier) {
      kept->states[state.version().step()] = std::make_shared<const v1::JobState>(state);
    }
  }
  std::vector<VersionRecord>& versions = kept->record.versions;
  while (!versions.empty() && versions.back().step > step) versions.pop_back();
  kept->states.erase(kept->states.upper_bound(step), kept->states.end());
  kept->states[step] = write.state;
  kept->record.state = *write.state;
  Trim(kKeptVersions, kept);
}

void Disk::ApplyTo(const Write& write, Kept* kept) {
  if (write.state != nullptr) PutState(write, kept);
  kept->expired = write.expires;
  if (write.expires) Trim(/*newest=*/1, kept);
  JobRecord& record = kept->record;
  record.epoch = write.epoch;
  for (const VersionRecord& version : write.versions) {
    Put(
        version, [](const VersionRecord& v) { return v.step; }, &record.versions);
  }
  while (record.versions.size() > kKeptVersions) record.versions.erase(record.versions.begin());
  for (const v1::Member& member : write.members) {
    Put(
        member, [](const v1::Member& m) { return m.contributor(); }, &record.members);
  }
  if (write.state == nullptr) return;
  record.earlier.clear();
  for (const uint64_t step : EarlierSteps(record.state, record.versions.front().step)) {
    const auto found = kept->states.find(step);
    if (found != kept->states.end()) record.earlier.push_back(*found->second);
  }
}

void Disk::Apply(const std::vector<Write>& writes) {
  for (const Write& write : writes) ApplyTo(write, &jobs_[write.job]);
}

std::vector<JobRecord> Disk::Load() const {
  std::vector<JobRecord> records;
  for (const auto& [name, kept] : jobs_) {
    if (!kept.expired) records.push_back(kept.record);
  }
  return records;
}

bool Disk::HasExpired(const std::string& job) const {
  const auto found = jobs_.find(job);
  return found != jobs_.end() && found->second.expired;
}

const JobRecord* Disk::Find(const std::string& job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : &found->second.record;
}

std::vector<v1::JobState> Disk::States(const std::string& job, const std::vector<uint64_t>& steps) const {
  std::vector<v1::JobState> states;
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return states;
  for (const uint64_t step : steps) {
    const auto state = found->second.states.find(step);
    if (state != found->second.states.end()) states.push_back(*state->second);
  }
  return states;
}

}  // namespace evenkeel::core::simulation
