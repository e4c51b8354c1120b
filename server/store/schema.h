#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/store/sqlite.h"

namespace evenkeel::store {

// File in the state directory. It may be read while the coordinator runs: sqlite3 -readonly evenkeel.db
inline constexpr char kDatabaseName[] = "evenkeel.db";

// In PRAGMA application_id and PRAGMA user_version: "Evnk", and the version of the tables in schema.cc.
inline constexpr int kApplicationId = 0x45766e6b;
inline constexpr int kSchemaVersion = 3;

// Opens the database at `path`, with every commit synced to disk (WAL, synchronous=FULL) and foreign keys enforced,
// makes the tables if it is new, and brings those of an earlier schema version to this one, all or nothing. Programs of
// that version do not read it any more.
//   FAILED_PRECONDITION  it has a later schema version, or is another program's; it is left alone
//   DATA_LOSS            it is damaged (PRAGMA integrity_check) or no database
//   UNAVAILABLE          it cannot be opened, read or written
absl::StatusOr<Database> OpenStateDatabase(const std::string& path);

}  // namespace evenkeel::store
