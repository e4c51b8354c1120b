#include "server/store/schema.h"

#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/store/row_checksum.h"

namespace evenkeel::store {
namespace {

// The comments stay in the database: sqlite3 shows them on .schema.
constexpr char kTables[] = R"sql(
-- Unsigned 64-bit numbers are the INTEGER of the same bits: from 2^63 on they show as negative.
-- A checksum is row_checksum() of the columns before it; see row_checksum.h.
CREATE TABLE jobs (
  name     TEXT NOT NULL PRIMARY KEY,
  epoch    INTEGER NOT NULL,   -- of the job: the newest life of a coordinator that knew it
  expired  INTEGER NOT NULL,   -- 1: nobody used it for long; it is loaded when somebody asks for it
  checksum INTEGER NOT NULL
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
  checksum    INTEGER NOT NULL,
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
  checksum     INTEGER NOT NULL,
  PRIMARY KEY (job, step)
) STRICT, WITHOUT ROWID;
)sql";

// From version i + 1 to i + 2.
constexpr const char* kMigrations[] = {
    // 1 had one state a job, in its row. What is known of earlier versions goes with the states that were never kept.
    R"sql(
CREATE TABLE states (
  place INTEGER PRIMARY KEY,
  job   TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
  step  INTEGER NOT NULL,
  state BLOB NOT NULL          -- evenkeel.v1.Snapshot, which carries its own checksum
) STRICT;
CREATE INDEX states_of_job ON states (job);
INSERT INTO states (job, step, state) SELECT name, step, state FROM jobs;
DELETE FROM versions WHERE (job, step) NOT IN (SELECT name, step FROM jobs);
ALTER TABLE jobs DROP COLUMN step;
ALTER TABLE jobs DROP COLUMN ok;
ALTER TABLE jobs DROP COLUMN state;
)sql",
    // 2 had no checksums of rows, and no job expired.
    R"sql(
ALTER TABLE jobs ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET checksum = row_checksum(name, epoch, expired);
UPDATE members SET checksum = row_checksum(job, contributor, member);
UPDATE versions SET checksum = row_checksum(job, step, epoch, ok, state_hash, committed_at);
)sql",
};
static_assert(std::size(kMigrations) == kSchemaVersion - 1);

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

// Every page, row and index, and that no row is of a job that is not there: what SQLite itself can find.
// integrity_check reads no page more than quick_check does.
absl::Status CheckIntegrity(Database* database, const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string verdict, database->Ask("PRAGMA integrity_check(1)"));
  if (verdict != "ok") return absl::DataLossError(absl::StrCat(path, " is damaged: ", verdict));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string orphan, database->Ask("PRAGMA foreign_key_check"));
  if (orphan.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " is damaged: a row of the table ", orphan, " is of no job"));
}

// The version of the tables; 0 where there are none yet. An error when there are, and they are not ours, or of a newer
// program.
absl::StatusOr<int> ReadVersion(Database* database, const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string tables, database->Ask("SELECT count(*) FROM sqlite_schema"));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string application, database->Ask("PRAGMA application_id"));
  EVENKEEL_ASSIGN_OR_RETURN(const std::string text, database->Ask("PRAGMA user_version"));
  if (tables == "0" && application == "0" && text == "0") return 0;
  if (application != absl::StrCat(kApplicationId)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not an Evenkeel database: application_id is ",
                                                      application, "; name a state directory of its own"));
  }
  int version = 0;
  if (absl::SimpleAtoi(text, &version) && version >= 1 && version <= kSchemaVersion) return version;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " has schema version (user_version) ", text, "; this program reads 1 to ", kSchemaVersion,
                   ". Start the program that wrote it, or give this one a backup that it can read"));
}

// Runs `script` and sets the version to `kSchemaVersion`, or does neither.
absl::Status Rebuild(Database* database, absl::string_view script) {
  const absl::Status status =
      database->RunScript(absl::StrCat("BEGIN IMMEDIATE;", script, "PRAGMA application_id = ", kApplicationId,
                                       "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT"));
  if (!status.ok()) database->Run("ROLLBACK").IgnoreError();
  return status;
}

// From `version` to kSchemaVersion, all in one transaction.
absl::Status BringUp(Database* database, int version) {
  if (version == kSchemaVersion) return absl::OkStatus();
  if (version == 0) return Rebuild(database, kTables);
  std::string script;
  for (; version < kSchemaVersion; ++version) absl::StrAppend(&script, kMigrations[version - 1]);
  return Rebuild(database, script);
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
  EVENKEEL_RETURN_IF_ERROR(database.AddFunction("row_checksum", RowChecksum));
  EVENKEEL_ASSIGN_OR_RETURN(const int version, ReadVersion(&database, path));
  EVENKEEL_RETURN_IF_ERROR(CheckIntegrity(&database, path));
  EVENKEEL_RETURN_IF_ERROR(UseWal(&database, path));
  EVENKEEL_RETURN_IF_ERROR(BringUp(&database, version));
  return database;
}

}  // namespace evenkeel::store
