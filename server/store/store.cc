#include "server/store/store.h"

#include <algorithm>
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
    "INSERT INTO jobs (name, epoch, step, ok, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
    "epoch = excluded.epoch, step = excluded.step, ok = excluded.ok, state = excluded.state";
constexpr char kPutEpoch[] = "UPDATE jobs SET epoch = ?2 WHERE name = ?1 AND epoch != ?2";
constexpr char kPutMember[] = "INSERT OR REPLACE INTO members (job, contributor, member) VALUES (?, ?, ?)";
constexpr char kPutVersion[] =
    "INSERT OR REPLACE INTO versions (job, step, epoch, ok, state_hash, committed_at) VALUES (?, ?, ?, ?, ?, ?)";
// In unsigned order, in which what shows as negative comes last.
constexpr char kPruneVersions[] =
    "DELETE FROM versions WHERE job = ?1 AND step NOT IN (SELECT step FROM versions WHERE job = ?1 "
    "ORDER BY epoch < 0 DESC, epoch DESC, step < 0 DESC, step DESC LIMIT ?2)";
constexpr char kGetJobs[] = "SELECT name, epoch, step, state FROM jobs ORDER BY name";
constexpr char kGetMembers[] = "SELECT contributor, member FROM members WHERE job = ? ORDER BY contributor";
constexpr char kGetVersions[] = "SELECT step, epoch, ok, state_hash FROM versions WHERE job = ?";

absl::Status Damage(absl::string_view job, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("job \"", absl::CHexEscape(job), "\": ", what));
}

absl::Status PutJob(Database* database, const core::Write& write) {
  if (write.state == nullptr) return database->Run(kPutEpoch, write.job, write.epoch);
  const v1::JobState& state = *write.state;
  EVENKEEL_CHECK(state.spec().name() == write.job);
  return database->Run(kPutJob, write.job, write.epoch, state.version().step(), int64_t{state.last_commit().ok()},
                       Blob{EncodeSnapshot(state)});
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

// The state of a row of kGetJobs.
absl::StatusOr<v1::JobState> ReadState(const Row& row) {
  const absl::string_view job = row.Bytes(0);
  absl::StatusOr<v1::JobState> state = DecodeSnapshot(row.Bytes(3));
  if (!state.ok()) {
    return absl::Status(state.status().code(),
                        absl::StrCat("job \"", absl::CHexEscape(job), "\": ", state.status().message()));
  }
  if (state->spec().name() != job) return Damage(job, absl::StrCat("the state is of \"", state->spec().name(), "\""));
  const v1::Version& version = state->version();
  if (version.epoch() > row.Uint(1) || version.step() != row.Uint(2)) {
    return Damage(job, absl::StrCat("the row says epoch ", row.Uint(1), " and step ", row.Uint(2), ", the state epoch ",
                                    version.epoch(), " and step ", version.step()));
  }
  return state;
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

absl::Status ReadVersions(Database* database, core::JobRecord* record) {
  EVENKEEL_RETURN_IF_ERROR(database->ForEach(
      kGetVersions,
      [&](const Row& row) {
        record->versions.push_back({row.Uint(0), row.Uint(1), row.Int(2) != 0, row.Uint(3)});
        return absl::OkStatus();
      },
      record->state.spec().name()));
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
    core::JobRecord& record = records.emplace_back();
    EVENKEEL_ASSIGN_OR_RETURN(record.state, ReadState(row));
    record.epoch = row.Uint(1);
    EVENKEEL_RETURN_IF_ERROR(ReadMembers(database, &record));
    return ReadVersions(database, &record);
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
