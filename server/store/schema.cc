#include "server/store/schema.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::store {
namespace {

// The comments stay in the database: sqlite3 shows them on .schema.
constexpr char kTables[] = R"sql(
-- Unsigned 64-bit numbers are the INTEGER of the same bits: from 2^63 on they show as negative.
CREATE TABLE jobs (
  name  TEXT NOT NULL PRIMARY KEY,
  epoch INTEGER NOT NULL       -- of the job: the newest life of a coordinator that knew it
) STRICT;

-- The states after each job's newest 64 steps, and earlier ones that the newest needs; one a step. A new one takes the
-- row of one that is done with, and leaves the index as it is.
CREATE TABLE states (
  place INTEGER PRIMARY KEY,
  job   TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
  step  INTEGER NOT NULL,
  state BLOB NOT NULL          -- evenkeel.v1.Snapshot, which carries its own checksum
) STRICT;
CREATE INDEX states_of_job ON states (job);

CREATE TABLE members (
  job         TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
  contributor INTEGER NOT NULL,
  member      BLOB NOT NULL,   -- evenkeel.v1.Member
  PRIMARY KEY (job, contributor)
) STRICT, WITHOUT ROWID;

-- What each of the newest 64 versions of a job was, newest by epoch and then by step.
CREATE TABLE versions (
  job          TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
  step         INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,  -- that committed the step
  ok           INTEGER NOT NULL,  -- 0: the step was committed as skipped
  state_hash   INTEGER NOT NULL,  -- as in evenkeel.v1.CommittedVersion
  committed_at INTEGER NOT NULL,  -- milliseconds since 1970, by the coordinator's clock
  PRIMARY KEY (job, step)
) STRICT, WITHOUT ROWID;
)sql";

// With a write-ahead log, FULL means that a commit returns when the log is synced. People may read beside us
// (locking_mode stays NORMAL; the directory's lock keeps a second coordinator out), and a commit waits a while for one
// who writes. States of hundreds of kilobytes want large pages; the log is written back at 4 MB, SQLite's default in
// smaller pages. The pages that a new state frees hold no secrets to overwrite.
constexpr char kSettings[] = R"sql(
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA busy_timeout = 5000;
PRAGMA page_size = 16384;
PRAGMA wal_autocheckpoint = 256;
PRAGMA secure_delete = OFF;
)sql";

absl::Status CheckIntegrity(Database* database, const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string verdict, database->Ask("PRAGMA quick_check(1)"));
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", verdict));
}

// Whether the database has no tables yet; an error when it has, and they are not ours.
absl::StatusOr<bool> IsNew(Database* database, const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string tables, database->Ask("SELECT count(*) FROM sqlite_schema"));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string application, database->Ask("PRAGMA application_id"));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string version, database->Ask("PRAGMA user_version"));
  if (tables == "0" && application == "0" && version == "0") return true;
  if (application != absl::StrCat(kApplicationId)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not an Evenkeel database: application_id is ", application));
  }
  if (version != absl::StrCat(kSchemaVersion)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " has schema version (user_version) ", version,
                                                      "; this program reads and writes ", kSchemaVersion));
  }
  return false;
}

absl::Status MakeTables(Database* database) {
  return database->RunScript(absl::StrCat("BEGIN IMMEDIATE;", kTables, "PRAGMA application_id = ", kApplicationId,
                                          "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT"));
}

absl::Status UseWal(Database* database, const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string mode, database->Ask("PRAGMA journal_mode = WAL"));
  if (mode == "wal") return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(path, ": its file system allows no write-ahead log; journal_mode stays \"", mode, "\""));
}

}  // namespace

absl::StatusOr<Database> OpenStateDatabase(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(Database database, Database::Open(path));
  EVENKEEL_RETURN_IF_ERROR(database.RunScript(kSettings));
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_new, IsNew(&database, path));
  EVENKEEL_RETURN_IF_ERROR(CheckIntegrity(&database, path));
  EVENKEEL_RETURN_IF_ERROR(UseWal(&database, path));
  if (is_new) EVENKEEL_RETURN_IF_ERROR(MakeTables(&database));
  return database;
}

}  // namespace evenkeel::store
