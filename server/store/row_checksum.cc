#include "server/store/row_checksum.h"

#include <cstdint>
#include <string>

#include "xxhash.h"

namespace evenkeel::store {
namespace {

void Append(const void* data, size_t size, std::string* bytes) { bytes->append(static_cast<const char*>(data), size); }

void Append(sqlite3_value* value, std::string* bytes) {
  const int type = sqlite3_value_type(value);
  bytes->push_back(static_cast<char>(type));
  const int64_t number = type == SQLITE_INTEGER ? sqlite3_value_int64(value) : sqlite3_value_bytes(value);
  Append(&number, sizeof(number), bytes);
  if (type != SQLITE_INTEGER) Append(sqlite3_value_blob(value), number, bytes);
}

}  // namespace

void RowChecksum(sqlite3_context* context, int count, sqlite3_value** values) {
  std::string bytes;
  for (int i = 0; i < count; ++i) Append(values[i], &bytes);
  sqlite3_result_int64(context, static_cast<int64_t>(XXH3_64bits(bytes.data(), bytes.size())));
}

}  // namespace evenkeel::store
