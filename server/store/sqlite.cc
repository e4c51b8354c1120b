#include "server/store/sqlite.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"

namespace evenkeel::store {
namespace {

absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {  // the primary result code
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// What the operating system was asked, for an I/O error of the file: " in fsync", say.
absl::string_view CallOf(int result) {
  switch (result) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
      return " in read";
    case SQLITE_IOERR_WRITE:
      return " in write";
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
      return " in fsync";
    case SQLITE_IOERR_TRUNCATE:
      return " in truncate";
    default:
      return "";
  }
}

absl::Status Error(absl::string_view path, absl::string_view action, absl::string_view words, int result,
                   int system_error) {
  const absl::StatusCode code = CodeOf(result);
  std::string message =
      absl::StrCat(path, ": cannot ", action, ": ", words, CallOf(result), " (SQLite result ", result);
  // The errno of an earlier call stays; it says something only when the outside world is to blame.
  if (system_error != 0 && code == absl::StatusCode::kUnavailable) {
    absl::StrAppend(&message, ", ", strerror(system_error));
  }
  return absl::Status(code, absl::StrCat(message, ")"));
}

// The error of the last call on `database`.
absl::Status LastError(sqlite3* database, absl::string_view action) {
  return Error(sqlite3_db_filename(database, "main"), action, sqlite3_errmsg(database),
               sqlite3_extended_errcode(database), sqlite3_system_errno(database));
}

}  // namespace

absl::string_view Row::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return absl::string_view(static_cast<const char*>(data), sqlite3_column_bytes(statement_, column));
}

bool Database::Bind(sqlite3_stmt* statement, int parameter, int64_t value) {
  return sqlite3_bind_int64(statement, parameter, value) == SQLITE_OK;
}

bool Database::Bind(sqlite3_stmt* statement, int parameter, uint64_t value) {
  return Bind(statement, parameter, static_cast<int64_t>(value));
}

// Text and blobs are not copied: the caller's values outlive the statement's run. SQLite takes a null pointer for NULL,
// and an empty view may have one.
bool Database::Bind(sqlite3_stmt* statement, int parameter, absl::string_view text) {
  return sqlite3_bind_text64(statement, parameter, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC,
                             SQLITE_UTF8) == SQLITE_OK;
}

bool Database::Bind(sqlite3_stmt* statement, int parameter, Blob blob) {
  return sqlite3_bind_blob64(statement, parameter, blob.bytes.empty() ? "" : blob.bytes.data(), blob.bytes.size(),
                             SQLITE_STATIC) == SQLITE_OK;
}

absl::Status Database::Execute(sqlite3_stmt* statement, bool bound,
                               absl::FunctionRef<absl::Status(const Row&)> on_row) {
  absl::Status status;
  int result = bound ? SQLITE_ROW : SQLITE_ERROR;
  while (result == SQLITE_ROW && status.ok()) {
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) status = on_row(Row(statement));
  }
  if (status.ok() && result != SQLITE_DONE) {
    status = LastError(sqlite3_db_handle(statement), absl::StrCat("run \"", sqlite3_sql(statement), "\""));
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

absl::StatusOr<Database> Database::Open(const std::string& path) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &handle, kFlags, nullptr);
  Database database(handle);  // closed even when it could not be opened
  if (result != SQLITE_OK) {
    const int system_error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
    return Error(path, "open", sqlite3_errstr(result), result, system_error);
  }
  return database;
}

absl::StatusOr<std::string> Database::Ask(absl::string_view sql) {
  absl::optional<std::string> answer;
  EVENKEEL_RETURN_IF_ERROR(ForEach(sql, [&](const Row& row) {
    if (!answer.has_value()) answer = std::string(row.Bytes(0));
    return absl::OkStatus();
  }));
  return answer.value_or("");
}

absl::Status Database::AddFunction(const std::string& name, Function* function) {
  constexpr int kAnyNumber = -1;
  if (sqlite3_create_function(database_.get(), name.c_str(), kAnyNumber, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                              function, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return LastError(database_.get(), absl::StrCat("add the function ", name));
}

absl::Status Database::RunScript(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return LastError(database_.get(), absl::StrCat("run \"", sql, "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<sqlite3_stmt*> Database::Prepared(absl::string_view sql) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) return known->second.get();
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    return LastError(database_.get(), absl::StrCat("prepare \"", sql, "\""));
  }
  statements_[std::string(sql)].reset(statement);
  return statement;
}

}  // namespace evenkeel::store
