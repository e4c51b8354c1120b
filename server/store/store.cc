#include "server/store/store.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "job/snapshot.h"
#include "server/store/directory_lock.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"

namespace evenkeel::store {
namespace {

constexpr char kPutJob[] =
    "INSERT INTO jobs (name, epoch, expired, checksum) VALUES (?1, ?2, 0, row_checksum(?1, ?2, 0)) "
    "ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, expired = 0, checksum = excluded.checksum "
    "WHERE epoch != excluded.epoch OR expired";
constexpr char kPutEpoch[] =
    "UPDATE jobs SET epoch = ?2, expired = 0, checksum = row_checksum(?1, ?2, 0) "
    "WHERE name = ?1 AND (epoch != ?2 OR expired)";
constexpr char kExpire[] = "UPDATE jobs SET expired = 1, checksum = row_checksum(name, epoch, 1) WHERE name = ?1";
constexpr char kGetPlaces[] = "SELECT step, place FROM states WHERE job = ?";
constexpr char kReplaceState[] = "UPDATE states SET step = ?2, state = ?3 WHERE place = ?1";
constexpr char kAddState[] = "INSERT INTO states (job, step, state) VALUES (?, ?, ?)";
constexpr char kDropState[] = "DELETE FROM states WHERE place = ?";
constexpr char kPutMember[] =
    "INSERT OR REPLACE INTO members (job, contributor, member, checksum) "
    "VALUES (?1, ?2, ?3, row_checksum(?1, ?2, ?3))";
constexpr char kPutVersion[] =
    "INSERT OR REPLACE INTO versions (job, step, epoch, ok, state_hash, committed_at, checksum) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, row_checksum(?1, ?2, ?3, ?4, ?5, ?6))";
constexpr char kDropVersions[] = "DELETE FROM versions WHERE job = ?";
// In unsigned order, in which what shows as negative comes last.
constexpr char kDropLaterVersions[] = "DELETE FROM versions WHERE job = ?1 AND (step < 0, step) > (?2 < 0, ?2)";
constexpr char kPruneVersions[] =
    "DELETE FROM versions WHERE job = ?1 AND step NOT IN (SELECT step FROM versions WHERE job = ?1 "
    "ORDER BY epoch < 0 DESC, epoch DESC, step < 0 DESC, step DESC LIMIT ?2)";
constexpr char kGetJobs[] =
    "SELECT name, epoch, checksum = row_checksum(name, epoch, expired), expired FROM jobs ORDER BY name";
constexpr char kGetJob[] =
    "SELECT name, epoch, checksum = row_checksum(name, epoch, expired), expired FROM jobs WHERE name = ?";
constexpr char kGetState[] = "SELECT state FROM states WHERE job = ? AND step = ?";
constexpr char kGetMembers[] =
    "SELECT contributor, member, checksum = row_checksum(job, contributor, member) FROM members WHERE job = ? "
    "ORDER BY contributor";
constexpr char kGetVersions[] =
    "SELECT step, epoch, ok, state_hash, checksum = row_checksum(job, step, epoch, ok, state_hash, committed_at) "
    "FROM versions WHERE job = ?";

absl::Status Damage(absl::string_view job, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("job \"", absl::CHexEscape(job), "\": ", what));
}

absl::Status WithRemedy(const std::string& path, const absl::Status& status) {
  std::string message(status.message());
  if (!absl::StrContains(message, path)) message = absl::StrCat(path, ": ", message);
  if (!absl::IsDataLoss(status)) return absl::Status(status.code(), message);
  return absl::DataLossError(absl::StrCat(
      message, ". Nothing of it is used: restore the file from a backup, or move the state directory away and let the ",
      "workers bring the state of their checkpoint"));
}

// The rows of a job's states, by step.
using Places = std::map<uint64_t, int64_t>;

absl::StatusOr<Places> ReadPlaces(Database* database, const std::string& job) {
  Places places;
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetPlaces,
      [&](const Row& row) {
        places[row.Uint(0)] = row.Int(1);
        return absl::OkStatus();
      },
      job));
  return places;
}

// Takes out of `places` the rows of states that are done with when `state` comes: its own of before comes first.
std::vector<int64_t> TakeFree(const v1::JobState& state, Places* places) {
  const uint64_t step = state.version().step();
  const std::vector<uint64_t> needed = core::EarlierSteps(state, /*first_version=*/0);
  std::vector<int64_t> free;
  for (auto place = places->begin(); place != places->end();) {
    const bool recent = place->first < step && step - place->first < core::kKeptVersions;
    const bool kept = recent || (place->first < step && std::count(needed.begin(), needed.end(), place->first) > 0);
    if (!kept) free.push_back(place->second);
    place = kept ? std::next(place) : places->erase(place);
  }
  return free;
}

// In the place of another, so that the pages of one state are all that a commit writes.
absl::Status PutState(Database* database, const v1::JobState& state, Places* places) {
  const std::string& job = state.spec().name();
  const uint64_t step = state.version().step();
  const std::string blob = job::EncodeSnapshot(state);
  std::vector<int64_t> free = TakeFree(state, places);
  for (size_t i = 1; i < free.size(); ++i) EVENKEEL_RETURN_IF_ERROR(database->Run(kDropState, free[i]));
  if (!free.empty()) {
    (*places)[step] = free[0];
    return database->Run(kReplaceState, free[0], step, Blob{blob});
  }
  EVENKEEL_RETURN_IF_ERROR(database->Run(kAddState, job, step, Blob{blob}));
  (*places)[step] = database->last_insert_rowid();
  return absl::OkStatus();
}

// What the write leaves of the states and versions that there are.
absl::Status Forget(Database* database, const core::Write& write, Places* places) {
  const uint64_t step = write.state->version().step();
  if (!write.begins_anew) {
    if (places->empty() || places->rbegin()->first <= step) return absl::OkStatus();
    return database->Run(kDropLaterVersions, write.job, step);
  }
  for (const auto& [kept, place] : *places) EVENKEEL_RETURN_IF_ERROR(database->Run(kDropState, place));
  places->clear();
  return database->Run(kDropVersions, write.job);
}

absl::Status PutJob(Database* database, const core::Write& write, Places* places) {
  if (write.state == nullptr) return database->Run(kPutEpoch, write.job, write.epoch);
  EVENKEEL_CHECK(write.state->spec().name() == write.job);
  EVENKEEL_RETURN_IF_ERROR(database->Run(kPutJob, write.job, write.epoch));
  EVENKEEL_RETURN_IF_ERROR(Forget(database, write, places));
  for (const v1::JobState& earlier : write.earlier) {
    EVENKEEL_CHECK(write.begins_anew && earlier.spec().name() == write.job);
    EVENKEEL_RETURN_IF_ERROR(PutState(database, earlier, places));
  }
  return PutState(database, *write.state, places);
}

absl::Status ReadStates(Database* database, const std::string& job, core::JobRecord* record);
absl::Status ReadVersions(Database* database, const std::string& job, core::JobRecord* record);

// Leaves of the states what the job needs to go on.
absl::Status Expire(Database* database, const std::string& job, Places* places) {
  core::JobRecord record;
  EVENKEEL_RETURN_IF_ERROR(ReadVersions(database, job, &record));
  EVENKEEL_RETURN_IF_ERROR(ReadStates(database, job, &record));
  std::set<uint64_t> kept = {record.state.version().step()};
  for (const v1::JobState& earlier : record.earlier) kept.insert(earlier.version().step());
  for (auto place = places->begin(); place != places->end();) {
    const bool drop = kept.count(place->first) == 0;
    if (drop) EVENKEEL_RETURN_IF_ERROR(database->Run(kDropState, place->second));
    place = drop ? places->erase(place) : std::next(place);
  }
  return database->Run(kExpire, job);
}

absl::Status PutMember(Database* database, const std::string& job, const v1::Member& member) {
  return database->Run(kPutMember, job, int64_t{member.contributor()}, Blob{member.SerializeAsString()});
}

absl::Status PutVersions(Database* database, const std::string& job, const std::vector<core::VersionRecord>& versions) {
  const int64_t now = absl::ToUnixMillis(absl::Now());
  for (const core::VersionRecord& version : versions) {
    EVENKEEL_RETURN_IF_ERROR(
        database->Run(kPutVersion, job, version.step, version.epoch, int64_t{version.ok}, version.state_hash, now));
  }
  return versions.empty() ? absl::OkStatus() : database->Run(kPruneVersions, job, int64_t{core::kKeptVersions});
}

absl::Status Put(Database* database, const core::Write& write, Places* places) {
  if (write.expires) return Expire(database, write.job, places);
  EVENKEEL_RETURN_IF_ERROR(PutJob(database, write, places));
  EVENKEEL_RETURN_IF_ERROR(PutVersions(database, write.job, write.versions));
  for (const v1::Member& member : write.members) {
    EVENKEEL_RETURN_IF_ERROR(PutMember(database, write.job, member));
  }
  return absl::OkStatus();
}

// The state after `step`; none where it is not kept.
absl::StatusOr<std::optional<v1::JobState>> FindState(Database* database, const std::string& job, uint64_t step) {
  std::string blob;
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetState,
      [&](const Row& row) {
        blob = std::string(row.Bytes(0));
        return absl::OkStatus();
      },
      job, step));
  if (blob.empty()) return std::nullopt;
  absl::StatusOr<job::SnapshotStates> states = job::DecodeSnapshot(blob);
  if (!states.ok()) {
    return absl::Status(states.status().code(),
                        absl::StrCat("job \"", absl::CHexEscape(job), "\": ", states.status().message()));
  }
  v1::JobState& state = states->state;
  if (state.spec().name() != job) return Damage(job, absl::StrCat("the state is of \"", state.spec().name(), "\""));
  if (state.version().step() != step) {
    return Damage(job, absl::StrCat("the row says step ", step, ", the state step ", state.version().step()));
  }
  return std::move(state);
}

// Of a job that needs it.
absl::StatusOr<v1::JobState> ReadState(Database* database, const std::string& job, uint64_t step) {
  EVENKEEL_ASSIGN_OR_RETURN(std::optional<v1::JobState> state, FindState(database, job, step));
  if (!state.has_value()) return Damage(job, absl::StrCat("the state of step ", step, " is missing"));
  return *std::move(state);
}

absl::Status ReadStates(Database* database, const std::string& job, core::JobRecord* record) {
  const auto newest = std::max_element(record->versions.begin(), record->versions.end(),
                                       [](const core::VersionRecord& a, const core::VersionRecord& b) {
                                         return std::tie(a.epoch, a.step) < std::tie(b.epoch, b.step);
                                       });
  if (newest == record->versions.end()) return Damage(job, "no version is kept");
  EVENKEEL_ASSIGN_OR_RETURN(record->state, ReadState(database, job, newest->step));
  EVENKEEL_ASSIGN_OR_RETURN(const Places places, ReadPlaces(database, job));
  if (places.rbegin()->first != newest->step) {
    return Damage(job, absl::StrCat("the newest state is of step ", places.rbegin()->first,
                                    ", the newest version of step ", newest->step));
  }
  for (const uint64_t step : core::EarlierSteps(record->state, record->versions.front().step)) {
    EVENKEEL_ASSIGN_OR_RETURN(v1::JobState state, ReadState(database, job, step));
    record->earlier.push_back(std::move(state));
  }
  return absl::OkStatus();
}

// A row of kGetMembers.
absl::StatusOr<v1::Member> ReadMember(const v1::JobSpec& spec, const Row& row) {
  const int64_t contributor = row.Int(0);
  if (contributor < 0 || contributor >= spec.contributors()) {
    return Damage(spec.name(), absl::StrCat("a member is contributor ", contributor, " of ", spec.contributors()));
  }
  v1::Member member;
  const bool intact = row.Int(2) != 0;
  if (!intact || !member.ParseFromString(std::string(row.Bytes(1))) || member.contributor() != contributor) {
    return Damage(spec.name(), absl::StrCat("the member of contributor ", contributor, " is damaged"));
  }
  return member;
}

absl::Status ReadMembers(Database* database, core::JobRecord* record) {
  const v1::JobSpec& spec = record->state.spec();
  return database->ForEach(
      kGetMembers,
      [&](const Row& row) {
        EVENKEEL_ASSIGN_OR_RETURN(v1::Member member, ReadMember(spec, row));
        record->members.push_back(std::move(member));
        return absl::OkStatus();
      },
      spec.name());
}

absl::Status ReadVersions(Database* database, const std::string& job, core::JobRecord* record) {
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetVersions,
      [&](const Row& row) -> absl::Status {
        if (row.Int(4) == 0) return Damage(job, absl::StrCat("the row of version ", row.Uint(0), " is damaged"));
        record->versions.push_back({row.Uint(0), row.Uint(1), row.Int(2) != 0, row.Uint(3)});
        return absl::OkStatus();
      },
      job));
  std::sort(record->versions.begin(), record->versions.end(),
            [](const core::VersionRecord& a, const core::VersionRecord& b) { return a.step < b.step; });
  return absl::OkStatus();
}

// Of a row of kGetJobs or kGetJob.
absl::StatusOr<core::JobRecord> ReadRecord(Database* database, const Row& row) {
  const std::string job(row.Bytes(0));
  if (row.Int(2) == 0) return Damage(job, "its row is damaged");
  core::JobRecord record;
  record.epoch = row.Uint(1);
  EVENKEEL_RETURN_IF_ERROR(ReadVersions(database, job, &record));
  EVENKEEL_RETURN_IF_ERROR(ReadStates(database, job, &record));
  EVENKEEL_RETURN_IF_ERROR(ReadMembers(database, &record));
  return record;
}

}  // namespace

struct Store::Impl {
  std::string path;  // of the database
  // Locked before the database is opened, and until it is closed.
  DirectoryLock lock;
  Database database;
  // Of the Apply that failed.
  absl::Status failure;
  // Of the jobs that were written to since: nobody else writes.
  std::map<std::string, Places> places;

  absl::StatusOr<Places*> PlacesOf(const std::string& job) {
    const auto found = places.find(job);
    if (found != places.end()) return &found->second;
    EVENKEEL_ASSIGN_OR_RETURN(Places read, ReadPlaces(&database, job));
    return &places.emplace(job, std::move(read)).first->second;
  }

  absl::Status PutAll(absl::Span<const core::Write> writes) {
    EVENKEEL_RETURN_IF_ERROR(database.Run("BEGIN IMMEDIATE"));
    for (const core::Write& write : writes) {
      EVENKEEL_ASSIGN_OR_RETURN(Places* const of_job, PlacesOf(write.job));
      EVENKEEL_RETURN_IF_ERROR(Put(&database, write, of_job));
      if (write.expires) places.erase(write.job);
    }
    return database.Run("COMMIT");
  }
};

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory) {
  EVENKEEL_ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Acquire(directory));
  const std::string path = absl::StrCat(directory, "/", kDatabaseName);
  absl::StatusOr<Database> database = OpenStateDatabase(path);
  if (!database.ok()) return WithRemedy(path, database.status());
  return std::unique_ptr<Store>(
      new Store(std::unique_ptr<Impl>(new Impl{path, std::move(lock), *std::move(database), {}, {}})));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() = default;

absl::StatusOr<std::vector<core::JobRecord>> Store::Load() {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  Database* const database = &impl_->database;
  std::vector<core::JobRecord> records;
  const absl::Status status = database->ForEach(kGetJobs, [&](const Row& row) -> absl::Status {
    if (row.Int(2) != 0 && row.Int(3) != 0) return absl::OkStatus();
    EVENKEEL_ASSIGN_OR_RETURN(core::JobRecord record, ReadRecord(database, row));
    records.push_back(std::move(record));
    return absl::OkStatus();
  });
  if (!status.ok()) return Explain(status);
  return records;
}

absl::StatusOr<std::optional<core::JobRecord>> Store::LoadExpired(const std::string& job) {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  std::optional<core::JobRecord> expired;
  const absl::Status status = impl_->database.ForEach(
      kGetJob,
      [&](const Row& row) -> absl::Status {
        if (row.Int(2) != 0 && row.Int(3) == 0) return absl::OkStatus();
        EVENKEEL_ASSIGN_OR_RETURN(expired, ReadRecord(&impl_->database, row));
        return absl::OkStatus();
      },
      job);
  if (!status.ok()) return Explain(status);
  return expired;
}

absl::Status Store::Explain(const absl::Status& status) const { return WithRemedy(impl_->path, status); }

absl::StatusOr<std::optional<v1::JobState>> Store::State(const std::string& job, uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  return FindState(&impl_->database, job, step);
}

absl::Status Store::Apply(absl::Span<const core::Write> writes) {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  if (writes.empty()) return absl::OkStatus();
  const absl::Status status = impl_->PutAll(writes);
  if (!status.ok()) {
    impl_->failure = absl::FailedPreconditionError(
        absl::StrCat("the store is not to be used after its failure: ", status.message()));
    // On most errors SQLite has rolled back already, and says so with an error of its own.
    impl_->database.Run("ROLLBACK").IgnoreError();
  }
  return status;
}

}  // namespace evenkeel::store
