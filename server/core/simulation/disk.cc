#include "server/core/simulation/disk.h"

#include <algorithm>
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

void PutState(const v1::JobState& state, JobRecord* record) {
  std::vector<v1::JobState> older = std::move(record->earlier);
  older.push_back(std::move(record->state));
  record->earlier.clear();
  for (const uint64_t step : EarlierSteps(state)) {
    const auto found = std::find_if(older.begin(), older.end(),
                                    [step](const v1::JobState& other) { return other.version().step() == step; });
    if (found != older.end()) record->earlier.push_back(std::move(*found));
  }
  record->state = state;
}

void ApplyTo(const Write& write, JobRecord* record) {
  if (write.state != nullptr) PutState(*write.state, record);
  record->epoch = write.epoch;
  for (const VersionRecord& version : write.versions) {
    Put(
        version, [](const VersionRecord& v) { return v.step; }, &record->versions);
  }
  while (record->versions.size() > kKeptVersions) record->versions.erase(record->versions.begin());
  for (const v1::Member& member : write.members) {
    Put(
        member, [](const v1::Member& m) { return m.contributor(); }, &record->members);
  }
}

}  // namespace

void Disk::Apply(const std::vector<Write>& writes) {
  for (const Write& write : writes) ApplyTo(write, &records_[write.job]);
}

std::vector<JobRecord> Disk::Load() const {
  std::vector<JobRecord> records;
  for (const auto& [name, record] : records_) records.push_back(record);
  return records;
}

const JobRecord* Disk::Find(const std::string& job) const {
  const auto found = records_.find(job);
  return found == records_.end() ? nullptr : &found->second;
}

}  // namespace evenkeel::core::simulation
