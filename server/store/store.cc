#include "server/store/store.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "server/store/directory_lock.h"
#include "server/store/schema.h"
#include "server/store/snapshot_blob.h"
#include "server/store/sqlite.h"

namespace evenkeel::store {
namespace {

constexpr char kPutJob[] =
    "INSERT INTO jobs (name, epoch) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch "
    "WHERE epoch != excluded.epoch";
constexpr char kPutEpoch[] = "UPDATE jobs SET epoch = ?2 WHERE name = ?1 AND epoch != ?2";
constexpr char kGetPlaces[] = "SELECT place FROM states WHERE job = ?1 AND (step = ?2 OR step NOT IN (?3, ?4))";
constexpr char kReplaceState[] = "UPDATE states SET step = ?2, state = ?3 WHERE place = ?1";
constexpr char kAddState[] = "INSERT INTO states (job, step, state) VALUES (?, ?, ?)";
constexpr char kDropState[] = "DELETE FROM states WHERE place = ?";
constexpr char kPutMember[] = "INSERT OR REPLACE INTO members (job, contributor, member) VALUES (?, ?, ?)";
constexpr char kPutVersion[] =
    "INSERT OR REPLACE INTO versions (job, step, epoch, ok, state_hash, committed_at) VALUES (?, ?, ?, ?, ?, ?)";
// In unsigned order, in which what shows as negative comes last.
constexpr char kPruneVersions[] =
    "DELETE FROM versions WHERE job = ?1 AND step NOT IN (SELECT step FROM versions WHERE job = ?1 "
    "ORDER BY epoch < 0 DESC, epoch DESC, step < 0 DESC, step DESC LIMIT ?2)";
constexpr char kGetJobs[] = "SELECT name, epoch FROM jobs ORDER BY name";
constexpr char kGetState[] = "SELECT state FROM states WHERE job = ? AND step = ?";
constexpr char kGetMembers[] = "SELECT contributor, member FROM members WHERE job = ? ORDER BY contributor";
constexpr char kGetVersions[] = "SELECT step, epoch, ok, state_hash FROM versions WHERE job = ?";

absl::Status Damage(absl::string_view job, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("job \"", absl::CHexEscape(job), "\": ", what));
}

// Where the states are that `state` does without.
absl::StatusOr<std::vector<int64_t>> FreePlaces(Database* database, const v1::JobState& state) {
  std::vector<uint64_t> kept = core::EarlierSteps(state);
  EVENKEEL_CHECK(kept.size() <= 2);
  const uint64_t step = state.version().step();
  kept.resize(2, step);
  std::vector<int64_t> places;
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetPlaces,
      [&](const Row& row) {
        places.push_back(row.Int(0));
        return absl::OkStatus();
      },
      state.spec().name(), step, kept[0], kept[1]));
  return places;
}

// In the place of another, so that the pages of one state are all that a commit writes.
absl::Status PutState(Database* database, const v1::JobState& state) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<int64_t> places, FreePlaces(database, state));
  for (size_t i = 1; i < places.size(); ++i) EVENKEEL_RETURN_IF_ERROR(database->Run(kDropState, places[i]));
  const std::string blob = EncodeSnapshot(state);
  const uint64_t step = state.version().step();
  if (places.empty()) return database->Run(kAddState, state.spec().name(), step, Blob{blob});
  return database->Run(kReplaceState, places[0], step, Blob{blob});
}

absl::Status PutJob(Database* database, const core::Write& write) {
  if (write.state == nullptr) return database->Run(kPutEpoch, write.job, write.epoch);
  EVENKEEL_CHECK(write.state->spec().name() == write.job);
  EVENKEEL_RETURN_IF_ERROR(database->Run(kPutJob, write.job, write.epoch));
  return PutState(database, *write.state);
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

absl::Status Put(Database* database, const core::Write& write) {
  EVENKEEL_RETURN_IF_ERROR(PutJob(database, write));
  EVENKEEL_RETURN_IF_ERROR(PutVersions(database, write.job, write.versions));
  for (const v1::Member& member : write.members) {
    EVENKEEL_RETURN_IF_ERROR(PutMember(database, write.job, member));
  }
  return absl::OkStatus();
}

absl::Status PutAll(Database* database, absl::Span<const core::Write> writes) {
  EVENKEEL_RETURN_IF_ERROR(database->Run("BEGIN IMMEDIATE"));
  for (const core::Write& write : writes) EVENKEEL_RETURN_IF_ERROR(Put(database, write));
  return database->Run("COMMIT");
}

// The state after `step`, of a job that needs it.
absl::StatusOr<v1::JobState> ReadState(Database* database, const std::string& job, uint64_t step) {
  std::string blob;
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetState,
      [&](const Row& row) {
        blob = std::string(row.Bytes(0));
        return absl::OkStatus();
      },
      job, step));
  if (blob.empty()) return Damage(job, absl::StrCat("the state of step ", step, " is missing"));
  absl::StatusOr<v1::JobState> state = DecodeSnapshot(blob);
  if (!state.ok()) {
    return absl::Status(state.status().code(),
                        absl::StrCat("job \"", absl::CHexEscape(job), "\": ", state.status().message()));
  }
  if (state->spec().name() != job) return Damage(job, absl::StrCat("the state is of \"", state->spec().name(), "\""));
  if (state->version().step() != step) {
    return Damage(job, absl::StrCat("the row says step ", step, ", the state step ", state->version().step()));
  }
  return state;
}

absl::Status ReadStates(Database* database, const std::string& job, core::JobRecord* record) {
  const auto newest = std::max_element(record->versions.begin(), record->versions.end(),
                                       [](const core::VersionRecord& a, const core::VersionRecord& b) {
                                         return std::tie(a.epoch, a.step) < std::tie(b.epoch, b.step);
                                       });
  if (newest == record->versions.end()) return Damage(job, "no version is kept");
  EVENKEEL_ASSIGN_OR_RETURN(record->state, ReadState(database, job, newest->step));
  const uint64_t epoch = record->state.version().epoch();
  if (epoch > record->epoch) {
    return Damage(job, absl::StrCat("the row says epoch ", record->epoch, ", the state epoch ", epoch));
  }
  for (const uint64_t step : core::EarlierSteps(record->state)) {
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
  if (!member.ParseFromString(std::string(row.Bytes(1))) || member.contributor() != contributor) {
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
      [&](const Row& row) {
        record->versions.push_back({row.Uint(0), row.Uint(1), row.Int(2) != 0, row.Uint(3)});
        return absl::OkStatus();
      },
      job));
  std::sort(record->versions.begin(), record->versions.end(),
            [](const core::VersionRecord& a, const core::VersionRecord& b) { return a.step < b.step; });
  return absl::OkStatus();
}

}  // namespace

struct Store::Impl {
  // Locked before the database is opened, and until it is closed.
  DirectoryLock lock;
  Database database;
  // Of the Apply that failed.
  absl::Status failure;
};

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory) {
  EVENKEEL_ASSIGN_OR_RETURN(DirectoryLock lock, DirectoryLock::Acquire(directory));
  EVENKEEL_ASSIGN_OR_RETURN(Database database, OpenStateDatabase(absl::StrCat(directory, "/", kDatabaseName)));
  return std::unique_ptr<Store>(new Store(std::unique_ptr<Impl>(new Impl{std::move(lock), std::move(database), {}})));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() = default;

absl::StatusOr<std::vector<core::JobRecord>> Store::Load() {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  Database* const database = &impl_->database;
  std::vector<core::JobRecord> records;
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(kGetJobs, [&](const Row& row) {
    const std::string job(row.Bytes(0));
    core::JobRecord& record = records.emplace_back();
    record.epoch = row.Uint(1);
    EVENKEEL_RETURN_IF_ERROR(ReadVersions(database, job, &record));
    EVENKEEL_RETURN_IF_ERROR(ReadStates(database, job, &record));
    return ReadMembers(database, &record);
  }));
  return records;
}

absl::Status Store::Apply(absl::Span<const core::Write> writes) {
  EVENKEEL_RETURN_IF_ERROR(impl_->failure);
  if (writes.empty()) return absl::OkStatus();
  const absl::Status status = PutAll(&impl_->database, writes);
  if (!status.ok()) {
    impl_->failure = absl::FailedPreconditionError(
        absl::StrCat("the store is not to be used after its failure: ", status.message()));
    // On most errors SQLite has rolled back already, and says so with an error of its own.
    impl_->database.Run("ROLLBACK").IgnoreError();
  }
  return status;
}

}  // namespace evenkeel::store
