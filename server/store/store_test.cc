#include "server/store/store.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/snapshot.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/test_process.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StoreTest : public testing::Test {
 protected:
  std::string DatabasePath() const { return absl::StrCat(directory_.path(), "/", kDatabaseName); }

  std::unique_ptr<Store> OpenOrDie() const {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory_.path());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  // A database with the jobs "a" and "b", both at step 3.
  void WriteTwoJobs() const {
    const std::unique_ptr<Store> store = OpenOrDie();
    for (uint64_t tag = 1; tag <= 3; ++tag) {
      ASSERT_EQ(store->Apply({TestWrite("b", tag), TestWrite("a", tag)}), absl::OkStatus());
    }
  }

  // Runs one statement as a person might, past the store.
  template <typename... Values>
  void Tamper(absl::string_view sql, const Values&... values) const {
    absl::StatusOr<Database> database = Database::Open(DatabasePath());
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_EQ(database->Run(sql, values...), absl::OkStatus());
  }

  std::string Ask(absl::string_view sql) const {
    absl::StatusOr<Database> database = Database::Open(DatabasePath());
    return database.ok() ? database->Ask(sql).value_or("error") : "error";
  }

  // Of the states that are kept.
  std::string StepsOf(const std::string& job) const {
    return Ask(
        absl::StrCat("SELECT group_concat(step) FROM (SELECT step FROM states WHERE job = '", job, "' ORDER BY step)"));
  }

  absl::Status StatusOfOpen() const { return Store::Open(directory_.path()).status(); }
  absl::Status StatusOfLoad() const { return OpenOrDie()->Load().status(); }

  ScratchDirectory directory_;
};

TEST_F(StoreTest, ANewDirectoryHoldsNothing) {
  const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory_.path() + "/new/state");
  ASSERT_TRUE(store.ok()) << store.status();
  const auto records = (*store)->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, IsEmpty());
}

TEST_F(StoreTest, WhatWasAppliedIsLoadedByTheNextStoreInOrderOfNames) {
  WriteTwoJobs();
  const auto records = OpenOrDie()->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(Text(*records), Text({TestRecord("a", 3), TestRecord("b", 3)}));
}

TEST_F(StoreTest, TheStoreThatWroteLoadsTheSame) {
  const std::unique_ptr<Store> store = OpenOrDie();
  ASSERT_EQ(store->Apply({TestWrite("a", 1)}), absl::OkStatus());
  EXPECT_EQ(Text(*store->Load()), Text({TestRecord("a", 1)}));
  ASSERT_EQ(store->Apply({TestWrite("a", 2)}), absl::OkStatus());
  EXPECT_EQ(Text(*store->Load()), Text({TestRecord("a", 2)}));
}

TEST_F(StoreTest, MembersChangeWithoutTheState) {
  const std::unique_ptr<Store> store = OpenOrDie();
  ASSERT_EQ(store->Apply({TestWrite("a", 1)}), absl::OkStatus());
  core::Write write;
  write.job = "a";
  write.epoch = TestRecord("a", 1).epoch;
  write.members.resize(1);
  write.members[0].set_contributor(1);
  write.members[0].set_incarnation(99);
  ASSERT_EQ(store->Apply({write}), absl::OkStatus());

  core::JobRecord expected = TestRecord("a", 1);
  expected.members[1] = write.members[0];
  EXPECT_EQ(Text(*store->Load()), Text({expected}));
}

TEST_F(StoreTest, AnEmptyApplyChangesNothing) {
  WriteTwoJobs();
  const std::unique_ptr<Store> store = OpenOrDie();
  EXPECT_EQ(store->Apply({}), absl::OkStatus());
  EXPECT_EQ(Text(*store->Load()), Text({TestRecord("a", 3), TestRecord("b", 3)}));
}

TEST_F(StoreTest, OneApplyRunsItsWritesInOrder) {
  const std::unique_ptr<Store> store = OpenOrDie();
  ASSERT_EQ(store->Apply({TestWrite("a", 1), TestWrite("a", 2), TestWrite("a", 3)}), absl::OkStatus());
  EXPECT_EQ(Text(*store->Load()), Text({TestRecord("a", 3)}));
}

TEST_F(StoreTest, KeepsTheNewestVersions) {
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= core::kKeptVersions + 5; ++tag) {
    ASSERT_EQ(store->Apply({TestWrite("a", tag), TestWrite("b", tag)}), absl::OkStatus());
  }
  const auto records = store->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT((*records)[0].versions, SizeIs(core::kKeptVersions));
  EXPECT_EQ(Text(*records), Text({TestRecord("a", core::kKeptVersions + 5), TestRecord("b", core::kKeptVersions + 5)}));
}

TEST_F(StoreTest, AVersionOfTheSameStepIsReplaced) {
  const std::unique_ptr<Store> store = OpenOrDie();
  ASSERT_EQ(store->Apply({TestWrite("a", 1)}), absl::OkStatus());
  core::Write again = TestWrite("a", 1);
  again.versions[0] = {1, 2, false, 77};
  ASSERT_EQ(store->Apply({again}), absl::OkStatus());
  core::JobRecord expected = TestRecord("a", 1);
  expected.versions = {{1, 2, false, 77}};
  EXPECT_EQ(Text(*store->Load()), Text({expected}));
}

TEST_F(StoreTest, AJobThatGoesBackForgetsTheLaterSteps) {
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= 20; ++tag) {
    ASSERT_EQ(store->Apply({TestWrite("a", tag), TestWrite("b", tag)}), absl::OkStatus());
  }
  core::Write back;
  back.job = "a";
  back.epoch = 30;
  v1::JobState state = TestState("a", 12);
  state.clear_move();
  back.state = std::make_shared<v1::JobState>(state);
  ASSERT_EQ(store->Apply({back}), absl::OkStatus());
  EXPECT_EQ(StepsOf("a"), "1,2,3,4,5,6,7,8,9,10,11,12");
  EXPECT_EQ(Ask("SELECT max(step) FROM versions WHERE job = 'a'"), "12");
  EXPECT_EQ(Ask("SELECT max(step) FROM versions WHERE job = 'b'"), "20");
  const auto records = store->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ((*records)[0].state.SerializeAsString(), state.SerializeAsString());
  EXPECT_EQ((*records)[0].epoch, 30);
  ASSERT_EQ(store->Apply({TestWrite("a", 13)}), absl::OkStatus());
  EXPECT_EQ(StepsOf("a"), "1,2,3,4,5,6,7,8,9,10,11,12,13");
}

TEST_F(StoreTest, AJobThatBeginsAnewForgetsAllElse) {
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= 9; ++tag) ASSERT_EQ(store->Apply({TestWrite("a", tag)}), absl::OkStatus());
  core::Write anew = TestWrite("a", 5);
  v1::JobState state = *anew.state;
  state.mutable_spec()->set_lag(1);
  state.clear_move();
  anew.state = std::make_shared<v1::JobState>(state);
  anew.begins_anew = true;
  anew.earlier = {TestState("a", 4)};
  anew.versions = {{4, 1, true, 44}, {5, 1, true, 55}};
  ASSERT_EQ(store->Apply({anew}), absl::OkStatus());
  EXPECT_EQ(StepsOf("a"), "4,5");
  core::JobRecord expected = TestRecord("a", 5);
  expected.state = state;
  expected.earlier = anew.earlier;
  expected.versions = anew.versions;
  EXPECT_EQ(Text(*store->Load()), Text({expected}));
}

TEST_F(StoreTest, GivesTheStateOfAStepOnDemand) {
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= core::kKeptVersions + 9; ++tag) {
    ASSERT_EQ(store->Apply({TestWrite("a", tag)}), absl::OkStatus());
  }
  const auto state = store->State("a", 30);
  ASSERT_TRUE(state.ok() && state->has_value()) << state.status();
  EXPECT_EQ((*state)->SerializeAsString(), TestState("a", 30).SerializeAsString());
  EXPECT_TRUE((*store->State("a", 10)).has_value());
  EXPECT_FALSE((*store->State("a", 9)).has_value());
  EXPECT_FALSE((*store->State("a", 1000)).has_value());
  EXPECT_FALSE((*store->State("b", 30)).has_value());
  Tamper("UPDATE states SET state = x'00' WHERE step = 31");
  EXPECT_EQ(store->State("a", 31).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store->Load().ok()) << "what a job does not need is not read";
}

// Every program's database so far, after 21 steps of two workers; testdata/schemaN.sql is a dump of one of schema N.
class MigrationTest : public StoreTest, public testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    std::ifstream file(absl::StrCat("server/store/testdata/schema", GetParam(), ".sql"));
    const std::string script((std::istreambuf_iterator<char>(file)), {});
    ASSERT_GT(script.size(), 4000);
    ASSERT_EQ(Database::Open(DatabasePath())->RunScript(script), absl::OkStatus());
  }

  // The next step, in the next epoch.
  static core::Write Next(const core::JobRecord& record) {
    core::Write next;
    next.job = "finetune";
    next.epoch = 3;
    v1::JobState state = record.state;
    state.mutable_version()->set_step(22);
    state.mutable_version()->set_epoch(3);
    if (state.has_move()) state.mutable_move()->set_base_step(21);
    next.state = std::make_shared<v1::JobState>(state);
    next.versions = {{22, 3, true, 1}};
    return next;
  }
};

TEST_P(MigrationTest, KeepsTheStateAndGoesOnFromIt) {
  const auto records = OpenOrDie()->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_THAT(*records, SizeIs(1));
  const core::JobRecord& record = (*records)[0];
  EXPECT_EQ(record.state.spec().name(), "finetune");
  EXPECT_EQ(record.epoch, 2);
  EXPECT_EQ(record.state.version().step(), 21);
  EXPECT_EQ(record.state.layers_size(), 3);
  EXPECT_EQ(record.versions.back().step, 21);
  EXPECT_EQ(record.versions.back().epoch, record.state.version().epoch());
  EXPECT_EQ(record.versions.back().state_hash, static_cast<uint64_t>(-652961641503983762));
  EXPECT_THAT(record.members, SizeIs(2));
  EXPECT_EQ(record.members[1].joined_after(), 20);
  EXPECT_EQ(Ask("PRAGMA user_version"), absl::StrCat(kSchemaVersion));

  const core::Write next = Next(record);
  ASSERT_EQ(OpenOrDie()->Apply({next}), absl::OkStatus());
  EXPECT_EQ(StepsOf("finetune"), GetParam() == 1 ? "21,22" : "20,21,22");
  EXPECT_EQ((*OpenOrDie()->Load())[0].state.SerializeAsString(), next.state->SerializeAsString());
}

TEST_P(MigrationTest, ThatIsCutShortLeavesItAsItWas) {
  const std::string before = Ask("SELECT group_concat(sql) FROM sqlite_schema");
  Tamper("ALTER TABLE versions ADD COLUMN checksum INTEGER");
  const absl::Status status = StatusOfOpen();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(DatabasePath()));
  EXPECT_EQ(Ask("PRAGMA user_version"), absl::StrCat(GetParam()));
  Tamper("ALTER TABLE versions DROP COLUMN checksum");
  EXPECT_EQ(Ask("SELECT group_concat(sql) FROM sqlite_schema"), before);
  EXPECT_EQ(StatusOfOpen(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(EarlierSchemas, MigrationTest, testing::Range(1, kSchemaVersion));

TEST_F(StoreTest, NumbersUpToTheLargestSurvive) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  core::Write write;
  write.job = "a";
  write.epoch = kLargest;
  v1::JobState state = TestState("a", 1);
  state.mutable_version()->set_epoch(kLargest);
  state.mutable_version()->set_step(kLargest);
  state.set_position(kHalf);
  state.set_fingerprint(kLargest);
  state.mutable_layers(0)->set_last_counts(0, kLargest);
  write.state = std::make_shared<v1::JobState>(state);
  write.versions = {{kLargest, kLargest, true, kLargest}, {kHalf - 1, kHalf, false, kHalf}};
  // More versions than are kept: the order of age goes past 2^63, too.
  for (uint64_t step = 1; step <= core::kKeptVersions; ++step) write.versions.push_back({step, kHalf - 1, true, step});
  write.members.resize(1);
  write.members[0].set_incarnation(kLargest);
  write.members[0].set_joined_after(kHalf);
  ASSERT_EQ(OpenOrDie()->Apply({write}), absl::OkStatus());

  core::JobRecord expected;
  expected.state = state;
  expected.epoch = kLargest;
  expected.members = write.members;
  for (uint64_t step = 3; step <= core::kKeptVersions; ++step)
    expected.versions.push_back({step, kHalf - 1, true, step});
  expected.versions.push_back({kHalf - 1, kHalf, false, kHalf});
  expected.versions.push_back({kLargest, kLargest, true, kLargest});
  EXPECT_EQ(Text(*OpenOrDie()->Load()), Text({expected}));
}

TEST_F(StoreTest, AnEpochIsWrittenWithoutAState) {
  WriteTwoJobs();
  core::Write next_life;
  next_life.job = "a";
  next_life.epoch = 9;
  ASSERT_EQ(OpenOrDie()->Apply({next_life}), absl::OkStatus());
  const auto records = OpenOrDie()->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ((*records)[0].epoch, 9);
  EXPECT_EQ((*records)[0].state.version().epoch(), 1);
  EXPECT_EQ((*records)[1].epoch, TestRecord("b", 3).epoch);
}

TEST_F(StoreTest, AnEpochRewritesNoState) {
  WriteTwoJobs();
  const std::unique_ptr<Store> store = OpenOrDie();
  Tamper("UPDATE states SET state = x'00' WHERE job = 'a'");
  core::Write next_life;
  next_life.job = "a";
  next_life.epoch = 9;
  ASSERT_EQ(store->Apply({next_life}), absl::OkStatus());
  EXPECT_EQ(Ask("SELECT group_concat(hex(state)) FROM states WHERE job = 'a'"), "00,00,00");
}

TEST_F(StoreTest, KeepsTheNewestStates) {
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= core::kKeptVersions + 9; ++tag) {
    ASSERT_EQ(store->Apply({TestWrite("a", tag), TestWrite("b", tag)}), absl::OkStatus());
    const uint64_t first = tag > core::kKeptVersions ? tag - core::kKeptVersions + 1 : 1;
    for (const char* job : {"a", "b"}) {
      const std::string from = absl::StrCat(" FROM states WHERE job = '", job, "'");
      EXPECT_EQ(Ask("SELECT min(step) || ',' || max(step) || ',' || count(*)" + from),
                absl::StrCat(first, ",", tag, ",", tag - first + 1));
    }
    EXPECT_EQ(Text(*store->Load()), Text({TestRecord("a", tag), TestRecord("b", tag)}));
  }
}

TEST_F(StoreTest, KeepsAnOlderStateThatTheNewestNeeds) {
  const auto earliest_needed = [](uint64_t tag) {
    if (tag == 1) return uint64_t{0};
    return tag >= 4 && tag <= 70 ? 3 : tag - (tag % 4 == 0 ? 2 : 1);
  };
  const std::unique_ptr<Store> store = OpenOrDie();
  for (uint64_t tag = 1; tag <= core::kKeptVersions + 9; ++tag) {
    core::Write write = TestWrite("a", tag);
    v1::JobState state = *write.state;
    // The steps from 4 to 70 are one move.
    if (tag >= 4 && tag <= 70) state.mutable_move()->set_base_step(3);
    if (tag >= 4 && tag <= 70) state.mutable_move()->mutable_routed_with()->set_step(2);
    write.state = std::make_shared<v1::JobState>(state);
    ASSERT_EQ(store->Apply({write}), absl::OkStatus());
    const core::JobRecord record = (*store->Load())[0];
    EXPECT_EQ(record.earlier.empty() ? 0 : record.earlier[0].version().step(), earliest_needed(tag)) << tag;
  }
  EXPECT_FALSE((*store->State("a", 3)).has_value());
}

TEST_F(StoreTest, WithLagTheStateBeforeIsKeptAsWell) {
  const std::unique_ptr<Store> store = OpenOrDie();
  std::vector<v1::JobState> states(1);
  for (uint64_t tag = 1; tag <= 6; ++tag) {
    core::Write write = TestWrite("a", tag);
    v1::JobState& state = states.emplace_back(*write.state);
    state.mutable_spec()->set_lag(1);
    // The steps from 3 on are one move.
    if (tag >= 3) state.mutable_move()->set_base_step(2);
    if (tag >= 3) state.mutable_move()->mutable_routed_with()->set_step(1);
    write.state = std::make_shared<v1::JobState>(state);
    ASSERT_EQ(store->Apply({write}), absl::OkStatus());
  }
  EXPECT_EQ(StepsOf("a"), "1,2,3,4,5,6");
  core::JobRecord expected = TestRecord("a", 6);
  expected.state = states[6];
  expected.earlier = {states[2], states[5]};
  EXPECT_EQ(Text(*store->Load()), Text({expected}));
}

TEST_F(StoreTest, PeopleCanQueryIt) {
  WriteTwoJobs();
  const std::unique_ptr<Store> running = OpenOrDie();
  EXPECT_EQ(Ask("SELECT epoch FROM jobs WHERE name = 'a'"), "4");
  EXPECT_EQ(Ask("SELECT max(step) || ' ' || epoch || ' ' || ok FROM versions WHERE job = 'a'"), "3 1 0");
  EXPECT_EQ(Ask("SELECT group_concat(step) FROM versions WHERE job = 'a'"), "1,2,3");
  EXPECT_EQ(Ask("SELECT count(*) FROM versions WHERE committed_at / 1000 BETWEEN unixepoch() - 3600 AND unixepoch()"),
            "6");
  EXPECT_EQ(Ask("PRAGMA journal_mode"), "wal");
}

// A write that fails.

TEST_F(StoreTest, NothingOfAFailedApplyIsKeptAndTheStoreIsOutOfUse) {
  WriteTwoJobs();
  {
    const std::unique_ptr<Store> store = OpenOrDie();
    core::Write orphan;
    orphan.job = "nobody";
    orphan.members.resize(1);
    const absl::Status failure = store->Apply({TestWrite("a", 4), orphan});
    EXPECT_EQ(failure.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(failure.message()), AllOf(HasSubstr(DatabasePath()), HasSubstr("FOREIGN KEY")));
    for (const absl::Status& later : {store->Apply({TestWrite("a", 4)}), store->Load().status()}) {
      EXPECT_EQ(later.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(later.message()), HasSubstr("FOREIGN KEY"));
    }
  }
  EXPECT_EQ(Text(*OpenOrDie()->Load()), Text({TestRecord("a", 3), TestRecord("b", 3)}));
}

TEST_F(StoreTest, AFullDiskIsAnErrorAndNothingIsApplied) {
  WriteTwoJobs();
  EXPECT_EQ(RunInChild([&] {
              const std::unique_ptr<Store> store = OpenOrDie();
              signal(SIGXFSZ, SIG_IGN);
              rlimit limit;
              getrlimit(RLIMIT_FSIZE, &limit);
              limit.rlim_cur = 16384;
              setrlimit(RLIMIT_FSIZE, &limit);
              const absl::Status status = store->Apply({TestWrite("a", 4, /*layers=*/8, /*experts=*/1024)});
              return absl::IsUnavailable(status) && absl::StrContains(status.message(), "disk I/O error") ? 0 : 1;
            }),
            0);
  EXPECT_EQ(Text(*OpenOrDie()->Load()), Text({TestRecord("a", 3), TestRecord("b", 3)}));
}

TEST_F(StoreTest, APersonWhoOnlyReadsIsNotInTheWay) {
  WriteTwoJobs();
  const std::unique_ptr<Store> store = OpenOrDie();
  absl::StatusOr<Database> reader = Database::Open(DatabasePath());
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(reader->Run("BEGIN").ok());
  EXPECT_EQ(*reader->Ask("SELECT max(step) FROM versions WHERE job = 'a'"), "3");
  EXPECT_EQ(store->Apply({TestWrite("a", 4)}), absl::OkStatus());
  EXPECT_EQ(*reader->Ask("SELECT max(step) FROM versions WHERE job = 'a'"), "3");  // its own point in time
  ASSERT_TRUE(reader->Run("COMMIT").ok());
  EXPECT_EQ(*reader->Ask("SELECT max(step) FROM versions WHERE job = 'a'"), "4");
}

// What Open refuses.

TEST_F(StoreTest, OneStoreAtATime) {
  const std::unique_ptr<Store> store = OpenOrDie();
  EXPECT_EQ(RunInChild([&] { return absl::IsFailedPrecondition(StatusOfOpen()) ? 0 : 1; }), 0);
  EXPECT_THAT(std::string(StatusOfOpen().message()),
              AllOf(HasSubstr(directory_.path()), HasSubstr("is held by process")));
}

TEST_F(StoreTest, AFileInPlaceOfTheDirectoryIsUnavailable) {
  std::ofstream(directory_.path() + "/file") << "x";
  const absl::Status status = Store::Open(directory_.path() + "/file").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("File exists"));
}

TEST_F(StoreTest, ADirectoryInPlaceOfTheDatabaseIsUnavailable) {
  std::filesystem::create_directory(DatabasePath());
  const absl::Status status = StatusOfOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(DatabasePath()));
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsDataLoss) {
  std::ofstream(DatabasePath()) << std::string(9000, '\x5a');
  const absl::Status status = StatusOfOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(DatabasePath()), HasSubstr("not a database")));
}

TEST_F(StoreTest, ADatabaseWithoutItsEndIsDataLoss) {
  WriteTwoJobs();
  std::filesystem::resize_file(DatabasePath(), std::filesystem::file_size(DatabasePath()) / 2);
  EXPECT_EQ(StatusOfOpen().code(), absl::StatusCode::kDataLoss) << StatusOfOpen();
}

TEST_F(StoreTest, ADamagedPageIsDataLoss) {
  WriteTwoJobs();
  {
    // The second page: the root of the table of jobs.
    std::fstream file(DatabasePath(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(16384) << std::string(64, '\xff');
  }
  const absl::Status status = StatusOfOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("is damaged"), HasSubstr("from a backup")));
}

TEST_F(StoreTest, ASchemaOfTheFutureIsRefusedAndLeftAlone) {
  WriteTwoJobs();
  for (const int version : {kSchemaVersion + 1, 1000, -1, 0}) {
    Tamper(absl::StrCat("PRAGMA user_version = ", version));
    const absl::Status status = StatusOfOpen();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(DatabasePath()), HasSubstr(absl::StrCat("(user_version) ", version)),
                      HasSubstr("Start the program that wrote it")));
    EXPECT_EQ(Ask("PRAGMA user_version"), absl::StrCat(version));
  }
}

TEST_F(StoreTest, TheDatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  Tamper("CREATE TABLE albums (title)");
  const absl::Status status = StatusOfOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not an Evenkeel database"));
  EXPECT_EQ(Ask("SELECT group_concat(name) FROM sqlite_schema"), "albums");
}

// What Load refuses: each names the job.

TEST_F(StoreTest, OneFlippedByteInAStateIsDataLoss) {
  WriteTwoJobs();
  std::string blob = job::EncodeSnapshot(TestState("b", 3));
  blob[blob.size() / 2] ^= 1;
  Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 3", Blob{blob});
  const absl::Status status = StatusOfLoad();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("job \"b\""), HasSubstr("checksum")));
}

TEST_F(StoreTest, WhatDoesNotBelongTogetherIsDataLoss) {
  v1::JobState misshapen = TestState("b", 3);
  misshapen.mutable_layers(0)->mutable_bias()->RemoveLast();
  v1::Member stranger;
  stranger.set_contributor(1);
  const std::string other_blob = job::EncodeSnapshot(TestState("a", 3));
  const std::string earlier_blob = job::EncodeSnapshot(TestState("b", 2));
  const std::string newest_blob = job::EncodeSnapshot(TestState("b", 3));
  const std::string misshapen_blob = job::EncodeSnapshot(misshapen);
  const std::string stranger_blob = stranger.SerializeAsString();
  const std::vector<std::pair<std::string, std::function<void()>>> cases = {
      {"layers[0].bias has 7 entries",
       [&] { Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 3", Blob{misshapen_blob}); }},
      {"the state is of \"a\"",
       [&] { Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 3", Blob{other_blob}); }},
      {"the row says step 3, the state step 2",
       [&] { Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 3", Blob{earlier_blob}); }},
      {"the row says step 2, the state step 3",
       [&] { Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 2", Blob{newest_blob}); }},
      {"the state of step 3 is missing", [&] { Tamper("DELETE FROM states WHERE job = 'b' AND step = 3"); }},
      {"the state of step 2 is missing", [&] { Tamper("DELETE FROM states WHERE job = 'b' AND step = 2"); }},
      {"the newest state is of step 3, the newest version of step 1",
       [&] { Tamper("DELETE FROM versions WHERE job = 'b' AND step >= 2"); }},
      {"no version is kept", [&] { Tamper("DELETE FROM versions WHERE job = 'b'"); }},
      {"its row is damaged", [&] { Tamper("UPDATE jobs SET epoch = 9 WHERE name = 'b'"); }},
      {"the row of version 2 is damaged",
       [&] { Tamper("UPDATE versions SET state_hash = 7 WHERE job = 'b' AND step = 2"); }},
      {"the row of version 1 is damaged",
       [&] { Tamper("UPDATE versions SET committed_at = 7 WHERE job = 'b' AND step = 1"); }},
      {"the row of version 1 is damaged",
       [&] { Tamper("UPDATE OR REPLACE versions SET job = 'b' WHERE job = 'a' AND step = 1"); }},
      {"the member of contributor 1 is damaged",
       [&] { Tamper("UPDATE OR REPLACE members SET job = 'b' WHERE job = 'a' AND contributor = 1"); }},
      {"a member is contributor 2 of 2",
       [&] { Tamper("UPDATE members SET contributor = 2 WHERE contributor = 1 AND job = 'b'"); }},
      {"a member is contributor -1 of 2",
       [&] { Tamper("UPDATE members SET contributor = -1 WHERE contributor = 1 AND job = 'b'"); }},
      {"the member of contributor 0 is damaged",
       [&] { Tamper("UPDATE members SET member = ? WHERE contributor = 0 AND job = 'b'", Blob{stranger_blob}); }},
      {"the member of contributor 0 is damaged",
       [&] { Tamper("UPDATE members SET member = x'ffff' WHERE contributor = 0 AND job = 'b'"); }},
  };
  for (const auto& [message, damage] : cases) {
    std::filesystem::remove(DatabasePath());
    WriteTwoJobs();
    damage();
    const absl::Status status = StatusOfLoad();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << message;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("job \"b\": "), HasSubstr(message),
                                                     HasSubstr(DatabasePath()), HasSubstr("from a backup")));
  }
}

TEST_F(StoreTest, ASnapshotOfANewerFormatIsToldFromDamage) {
  WriteTwoJobs();
  v1::Snapshot newer = job::MakeSnapshot(TestState("b", 3));
  newer.set_format_version(3);
  Tamper("UPDATE states SET state = ? WHERE job = 'b' AND step = 3", Blob{newer.SerializeAsString()});
  const absl::Status status = StatusOfLoad();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("job \"b\""), HasSubstr("format_version is 3")));
}

}  // namespace
}  // namespace evenkeel::store
