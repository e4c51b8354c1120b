#include "server/store/sqlite.h"

#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/test_process.h"

namespace evenkeel::store {
namespace {

using ::testing::HasSubstr;

class SqliteTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(database_.ok()) << database_.status(); }

  ScratchDirectory directory_;
  const std::string path_ = directory_.path() + "/test.db";
  absl::StatusOr<Database> database_ = Database::Open(path_);
};

TEST_F(SqliteTest, ValuesComeBackAsTheyWereBound) {
  const std::string text = "a'b\"c\n;--";
  const std::string bytes("\0\xff\0x", 4);
  const uint64_t largest = std::numeric_limits<uint64_t>::max();
  ASSERT_TRUE(database_->Run("CREATE TABLE t (a, b, c, d, e, f)").ok());
  ASSERT_TRUE(database_
                  ->Run("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", int64_t{-7}, largest, absl::string_view(text),
                        Blob{bytes}, absl::string_view(), Blob{})
                  .ok());
  int rows = 0;
  ASSERT_TRUE(database_
                  ->ForEach("SELECT *, typeof(e), typeof(f) FROM t",
                            [&](const Row& row) {
                              ++rows;
                              EXPECT_EQ(row.Int(0), -7);
                              EXPECT_EQ(row.Uint(1), largest);
                              EXPECT_EQ(row.Int(1), -1);
                              EXPECT_EQ(row.Bytes(2), text);
                              EXPECT_EQ(row.Bytes(3), bytes);
                              EXPECT_EQ(row.Bytes(4), "");
                              EXPECT_EQ(row.Bytes(6), "text");
                              EXPECT_EQ(row.Bytes(7), "blob");
                              return absl::OkStatus();
                            })
                  .ok());
  EXPECT_EQ(rows, 1);
}

TEST_F(SqliteTest, TheFirstErrorOfARowEndsTheStatement) {
  ASSERT_TRUE(database_->RunScript("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)").ok());
  int rows = 0;
  const auto stop_at_two = [&](const Row& row) {
    ++rows;
    return row.Int(0) == 2 ? absl::AbortedError("two") : absl::OkStatus();
  };
  EXPECT_EQ(database_->ForEach("SELECT a FROM t ORDER BY a", stop_at_two), absl::AbortedError("two"));
  EXPECT_EQ(rows, 2);
  // The statement is free again: the table may be dropped, which an open cursor forbids.
  EXPECT_EQ(database_->Run("DROP TABLE t"), absl::OkStatus());
}

TEST_F(SqliteTest, AskGivesTheFirstValueAsText) {
  EXPECT_EQ(*database_->Ask("SELECT 42 UNION ALL SELECT 43"), "42");
  EXPECT_EQ(*database_->Ask("SELECT 1 WHERE 0"), "");
}

TEST_F(SqliteTest, ErrorsNameTheFileTheStatementAndTheCause) {
  const absl::Status syntax = database_->Run("SELEC 1");
  EXPECT_EQ(syntax.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(syntax.message()), HasSubstr(path_ + ": cannot prepare \"SELEC 1\": near \"SELEC\""));

  const absl::Status too_many = database_->Run("SELECT 1", int64_t{1});
  EXPECT_EQ(too_many.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(too_many.message()), HasSubstr("out of range"));

  const absl::Status missing = Database::Open(directory_.path() + "/none/test.db").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("/none/test.db: cannot open"));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("No such file or directory"));
}

TEST_F(SqliteTest, AnotherConnectionInTheWayIsAFailedPrecondition) {
  absl::StatusOr<Database> other = Database::Open(path_);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(other->Run("BEGIN IMMEDIATE").ok());
  EXPECT_EQ(database_->Run("BEGIN IMMEDIATE").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteTest, AFileThatIsNoDatabaseIsDataLoss) {
  const std::string path = directory_.path() + "/garbage.db";
  std::ofstream(path) << std::string(5000, 'x');
  absl::StatusOr<Database> database = Database::Open(path);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database->Ask("PRAGMA user_version").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace evenkeel::store
