#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sqlite3.h"

// A thin layer over SQLite's C interface: handles that close themselves, errors that are values. Every error names
// the database file and what was asked of it, and carries SQLite's words and the operating system's.
//   DATA_LOSS            the file is damaged, or no database
//   FAILED_PRECONDITION  another connection is in the way
//   UNAVAILABLE          the file cannot be opened, read, written or synced, or the disk is full
//   INTERNAL             anything else: a mistake of the program
// Thread-compatible.
namespace evenkeel::store {

// Bytes to be bound as a BLOB.
struct Blob {
  absl::string_view bytes;
};

// The current row of a statement; columns count from 0. Text and blobs live until the next row.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}

  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  // A value that was bound as uint64_t.
  uint64_t Uint(int column) const { return static_cast<uint64_t>(Int(column)); }
  // The bytes of a TEXT or a BLOB.
  absl::string_view Bytes(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// A connection to a database file, and the statements that it has prepared so far.
//
// `values` are bound to the parameters of a statement in order: int64_t, uint64_t (stored as the INTEGER of the same 64
// bits, so that values from 2^63 on show as negative), absl::string_view (TEXT) or Blob.
class Database {
 public:
  // Makes the file if it is missing.
  static absl::StatusOr<Database> Open(const std::string& path);

  Database(Database&&) = default;
  Database& operator=(Database&&) = delete;

  // Runs one statement, and calls `on_row` for each row up to its first error, which is returned. `on_row` must not run
  // the same statement.
  template <typename... Values>
  absl::Status ForEach(absl::string_view sql, absl::FunctionRef<absl::Status(const Row&)> on_row,
                       const Values&... values) {
    absl::StatusOr<sqlite3_stmt*> statement = Prepared(sql);
    if (!statement.ok()) return std::move(statement).status();
    [[maybe_unused]] int parameter = 0;
    const bool bound = (Bind(*statement, ++parameter, values) && ...);
    return Execute(*statement, bound, on_row);
  }

  // Runs one statement whose rows do not matter.
  template <typename... Values>
  absl::Status Run(absl::string_view sql, const Values&... values) {
    return ForEach(
        sql, [](const Row&) { return absl::OkStatus(); }, values...);
  }

  // First column of the first row, as text; empty when there is no row.
  absl::StatusOr<std::string> Ask(absl::string_view sql);

  // Of the row that was inserted last.
  int64_t last_insert_rowid() const { return sqlite3_last_insert_rowid(database_.get()); }

  // A function that SQL may call by `name`, with any number of values; the same values give the same result.
  using Function = void(sqlite3_context* context, int count, sqlite3_value** values);
  absl::Status AddFunction(const std::string& name, Function* function);

  // Runs any number of statements, once.
  absl::Status RunScript(const std::string& sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  explicit Database(sqlite3* database) : database_(database) {}

  // Prepares `sql`, once in the life of the connection.
  absl::StatusOr<sqlite3_stmt*> Prepared(absl::string_view sql);
  // False on an error, which SQLite keeps.
  static bool Bind(sqlite3_stmt* statement, int parameter, int64_t value);
  static bool Bind(sqlite3_stmt* statement, int parameter, uint64_t value);
  static bool Bind(sqlite3_stmt* statement, int parameter, absl::string_view text);
  static bool Bind(sqlite3_stmt* statement, int parameter, Blob blob);
  // Runs a statement if its parameters were bound, and leaves it as it was before.
  static absl::Status Execute(sqlite3_stmt* statement, bool bound, absl::FunctionRef<absl::Status(const Row&)> on_row);

  std::unique_ptr<sqlite3, Close> database_;
  absl::flat_hash_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

}  // namespace evenkeel::store
