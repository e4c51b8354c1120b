#include "server/core/simulation/disk.h"

#include <algorithm>

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

void ApplyTo(const Write& write, JobRecord* record) {
  if (write.state != nullptr) record->state = *write.state;
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
