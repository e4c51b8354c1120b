#pragma once

#include "sqlite3.h"

namespace evenkeel::store {

// The SQL function row_checksum(value, ...): the XXH3-64 of its values, each with its type and its size before it, as
// the INTEGER of the same 64 bits. A row that keeps it cannot be damaged unnoticed, nor take the place of another. For
// Database::AddFunction.
void RowChecksum(sqlite3_context* context, int count, sqlite3_value** values);

}  // namespace evenkeel::store
