// The disk as an enemy: for every kind of commit, each write, truncation, sync and deletion on its way fails, once or
// for good, or is where the power is cut. Whoever opens the directory then finds the state before the commit or the one
// after it, whole; and the one after it where the store had said so.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/fault_vfs.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"
#include "server/store/test_process.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

constexpr uint64_t kNewest = 8;

// A life of a coordinator: what it finds, and what it writes.
struct Life {
  std::string name;
  // The directory as the life before left it.
  std::function<void(const std::string& directory)> before;
  std::vector<core::Write> writes;
  // Every change of it is tried that is a multiple of this, and a bit.
  int stride = 1;
};

void ApplyUpTo(uint64_t newest, const std::string& directory) {
  const auto store = Store::Open(directory);
  ASSERT_TRUE(store.ok()) << store.status();
  for (uint64_t tag = 1; tag <= newest; ++tag) {
    ASSERT_EQ((*store)->Apply({TestWrite("a", tag), TestWrite("b", tag)}), absl::OkStatus());
  }
}

void TwoJobs(const std::string& directory) { ApplyUpTo(kNewest, directory); }

std::function<void(const std::string&)> Dump(int schema) {
  return [schema](const std::string& directory) {
    std::ifstream file(absl::StrCat("server/store/testdata/schema", schema, ".sql"));
    const std::string script((std::istreambuf_iterator<char>(file)), {});
    auto database = Database::Open(absl::StrCat(directory, "/", kDatabaseName));
    ASSERT_TRUE(database.ok());
    ASSERT_EQ(database->RunScript(script), absl::OkStatus());
  };
}

core::Write OfJob(const std::string& job, uint64_t epoch) {
  core::Write write;
  write.job = job;
  write.epoch = epoch;
  return write;
}

core::Write Creation() {
  core::Write write = TestWrite("new", 1);
  write.members.clear();
  return write;
}

core::Write MemberAlone() {
  core::Write write = OfJob("a", kNewest + 1);
  write.members = {TestWrite("a", 77).members[1]};
  return write;
}

core::Write WithState(const v1::JobState& state) {
  core::Write write = OfJob(state.spec().name(), kNewest + 2);
  write.state = std::make_shared<v1::JobState>(state);
  return write;
}

// Back to a step of the history.
core::Write Rewind() {
  v1::JobState state = TestState("a", 4);
  state.clear_move();
  return WithState(state);
}

// Back to a state that was brought, with the one before it.
core::Write BeginsAnew() {
  v1::JobState state = TestState("a", 5);
  state.mutable_spec()->set_lag(1);
  state.clear_move();
  core::Write write = WithState(state);
  write.begins_anew = true;
  write.earlier = {TestState("a", 4)};
  write.versions = {{4, 1, true, 44}, {5, 1, true, 55}};
  return write;
}

core::Write ConfigChange() {
  v1::JobState state = TestState("a", kNewest);
  state.mutable_spec()->mutable_balance()->set_rate(0.125);
  return WithState(state);
}

// More than the log holds before it is written back to the database, in the commit itself: some 1,000 changes, most of
// them pages of states.
std::vector<core::Write> Large() {
  std::vector<core::Write> writes;
  for (int job = 0; job < 120; ++job) {
    writes.push_back(TestWrite(absl::StrCat("large", job), 1, /*layers=*/2, /*experts=*/1024));
  }
  return writes;
}

std::vector<Life> Lives() {
  const auto nothing = [](const std::string&) {};
  const auto long_history = [](const std::string& directory) { ApplyUpTo(core::kKeptVersions + 2, directory); };
  const uint64_t next = core::kKeptVersions + 3;
  return {
      {"first start", nothing, {TestWrite("a", 1)}},
      {"creation", TwoJobs, {Creation()}},
      {"commit", TwoJobs, {TestWrite("a", kNewest + 1), TestWrite("b", kNewest + 1)}},
      {"commit that forgets", long_history, {TestWrite("a", next), TestWrite("b", next)}},
      {"member", TwoJobs, {MemberAlone()}},
      {"epoch", TwoJobs, {OfJob("a", 99), OfJob("b", 98)}},
      {"rewind", TwoJobs, {Rewind()}},
      {"begins anew", TwoJobs, {BeginsAnew()}},
      {"config change", TwoJobs, {ConfigChange()}},
      {"log written back", TwoJobs, Large(), /*stride=*/37},
      {"migration from schema 1", Dump(1), {}},
      {"migration from schema 2", Dump(2), {}},
  };
}

// Everything that `directory` remembers, in bytes, or the error.
std::string BytesIn(const std::string& directory) {
  const auto store = Store::Open(directory);
  if (!store.ok()) return store.status().ToString();
  const auto records = (*store)->Load();
  if (!records.ok()) return records.status().ToString();
  std::string bytes;
  for (const core::JobRecord& record : *records) {
    absl::StrAppend(&bytes, record.epoch, record.state.SerializeAsString());
    for (const v1::JobState& state : record.earlier) absl::StrAppend(&bytes, "earlier", state.SerializeAsString());
    for (const v1::Member& member : record.members) absl::StrAppend(&bytes, "member", member.SerializeAsString());
    for (const core::VersionRecord& version : record.versions) {
      absl::StrAppend(&bytes, " ", version.step, " ", version.epoch, " ", version.ok, " ", version.state_hash);
    }
  }
  return bytes;
}

class StoreFaultTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    life_ = Lives()[GetParam()];
    life_.before(before_.path());
    const Copy untouched(before_), after(before_);
    bytes_before_ = BytesIn(untouched.path());
    ASSERT_EQ(Live(after.path()), absl::OkStatus());
    bytes_after_ = BytesIn(after.path());
    // A migration changes nothing of what is remembered.
    ASSERT_EQ(bytes_before_ == bytes_after_, life_.writes.empty());
  }

  // A directory with the files of another.
  class Copy : public ScratchDirectory {
   public:
    explicit Copy(const ScratchDirectory& from) {
      std::filesystem::copy(from.path(), path(), std::filesystem::copy_options::recursive);
    }
  };

  // Opens the store, writes, closes it. OK when the store has said that all is on disk.
  absl::Status Live(const std::string& directory) const {
    const auto store = Store::Open(directory);
    return store.ok() ? (*store)->Apply(life_.writes) : store.status();
  }

  void ExpectRight(const std::string& directory, bool acknowledged) {
    const std::string bytes = BytesIn(directory);
    const bool is_after = bytes == bytes_after_;
    lost_ += acknowledged && !is_after;
    EXPECT_TRUE(is_after || bytes == bytes_before_)
        << "neither the state before nor the one after, but " << bytes.substr(0, 300);
    EXPECT_TRUE(is_after || !acknowledged) << "the store had said that it is on disk";
  }

  // The disk fails after `changes` of them, as `fail` says. False when the life was over before that.
  bool FailAfter(int changes, const std::function<void(FaultVfs*, int)>& fail) {
    const Copy directory(before_);
    absl::Status status;
    {
      FaultVfs vfs;
      fail(&vfs, changes);
      status = Live(directory.path());
      if (!vfs.has_failed()) return false;
    }
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kUnavailable) << status;
    ExpectRight(directory.path(), status.ok());
    return true;
  }

  // The power is cut after `changes`; `torn` is the seed of what the disk keeps of that which was not synced, 0 for
  // nothing. False when the life was over before that.
  bool CutAfter(int changes, uint64_t torn) {
    const Copy directory(before_);
    const ScratchDirectory disk;
    absl::Status status;
    {
      FaultVfs vfs;
      vfs.FailAfter(changes, SQLITE_IOERR_WRITE);
      status = Live(directory.path());
      if (!vfs.has_failed()) return false;
      if (torn == 0) vfs.CopySynced(directory.path(), disk.path());
      if (torn != 0) vfs.CopyTorn(directory.path(), disk.path(), torn);
    }
    ExpectRight(disk.path(), status.ok());
    return true;
  }

  static void TearDownTestSuite() {
    for (const auto& [fault, count] : injected_) {
      std::cout << "fault " << fault << ": " << count << " injected, " << lost_ << " acknowledged commits lost\n";
    }
  }

  const ScratchDirectory before_;
  Life life_;
  std::string bytes_before_, bytes_after_;
  // Of all lives: faults by name, and acknowledged commits that were not there after one.
  static std::map<std::string, int> injected_;
  static int lost_;
};

std::map<std::string, int> StoreFaultTest::injected_;
int StoreFaultTest::lost_ = 0;

TEST_P(StoreFaultTest, AChangeThatFailsIsToldAndMixesNothing) {
  const std::vector<std::function<void(FaultVfs*, int)>> faults = {
      [](FaultVfs* vfs, int changes) { vfs->FailAfter(changes, SQLITE_FULL); },
      [](FaultVfs* vfs, int changes) { vfs->FailAfter(changes, SQLITE_IOERR_FSYNC); },
      [](FaultVfs* vfs, int changes) { vfs->FailOnceAfter(changes, SQLITE_FULL); },
      [](FaultVfs* vfs, int changes) { vfs->FailOnceAfter(changes, SQLITE_IOERR_FSYNC); },
  };
  int injected = 0;
  for (size_t fault = 0; fault < faults.size(); ++fault) {
    for (int changes = fault % life_.stride; FailAfter(changes, faults[fault]); changes += life_.stride, ++injected) {
      ASSERT_FALSE(HasFailure()) << "fault " << fault << " after " << changes << " changes";
    }
  }
  injected_["write or sync failed"] += injected;
  EXPECT_GT(injected, 20);
}

TEST_P(StoreFaultTest, APowerCutMixesNothingAndLosesNothing) {
  constexpr uint64_t kSeeds = 4;
  int injected = 0;
  for (uint64_t seed = 0; seed <= kSeeds; ++seed) {
    for (int changes = seed % life_.stride; CutAfter(changes, seed == 0 ? 0 : seed * 1'000'003 + changes);
         changes += life_.stride, ++injected) {
      ASSERT_FALSE(HasFailure()) << "power cut after " << changes << " changes, seed " << seed;
    }
  }
  injected_["power cut"] += injected;
  EXPECT_GT(injected, 20);
}

INSTANTIATE_TEST_SUITE_P(Lives, StoreFaultTest, testing::Range(0, static_cast<int>(Lives().size())));

}  // namespace
}  // namespace evenkeel::store
