// Workers in network namespaces of their own, each joined to the coordinator's by a link that is taken down and up:
// packets are lost there, and neither end is told.

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/child_process.h"
#include "tests/counting_bench.h"
#include "tests/fault_tally.h"

namespace evenkeel::tests {
namespace {

// "" when it has succeeded.
std::string Run(const std::vector<std::string>& command) {
  const Ending ending = ChildProcess(command).Wait();
  return ending.exit_code == 0 ? "" : absl::StrCat(command[0], ": ", ending.stderr_text);
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  return static_cast<bool>(file.flush());
}

// Takes this process, and all that it starts, into a network without any links, as root of it. "", or why it cannot.
// Only while the process has one thread.
std::string LeaveTheNetwork() {
  const std::string user = absl::StrCat("0 ", geteuid(), " 1");
  const std::string group = absl::StrCat("0 ", getegid(), " 1");
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return absl::StrCat("unshare: ", strerror(errno));
  if (!WriteFile("/proc/self/setgroups", "deny") || !WriteFile("/proc/self/uid_map", user) ||
      !WriteFile("/proc/self/gid_map", group)) {
    return "the map of users cannot be written";
  }
  return Run({"ip", "link", "set", "lo", "up"});
}

// A network namespace, with a link to this process's that is named like it.
class Neighbour {
 public:
  // The index is 1 to 254.
  explicit Neighbour(int index)
      : name_(absl::StrCat("link", index)),
        network_(absl::StrCat("10.77.", index, ".")),
        holder_({"unshare", "-n", "cat"}) {}

  // "", or why it cannot be.
  std::string Join() {
    // It is there when the holder has another network than this process.
    const std::string own = NetworkOf("self");
    for (std::string its = own; its == own || its.empty(); its = NetworkOf(absl::StrCat(holder_.pid()))) {
      if (holder_.Poll().has_value()) return "unshare -n ended";
    }
    std::string error = Run(
        {"ip", "link", "add", name_, "type", "veth", "peer", "name", "uplink", "netns", absl::StrCat(holder_.pid())});
    if (error.empty()) error = Run({"ip", "address", "add", network_ + "1/24", "dev", name_});
    if (error.empty()) error = SetUp(true);
    if (error.empty()) error = RunInside({"ip", "address", "add", network_ + "2/24", "dev", "uplink"});
    if (error.empty()) error = RunInside({"ip", "link", "set", "uplink", "up"});
    if (error.empty()) error = RunInside({"ip", "link", "set", "lo", "up"});
    return error;
  }

  std::string SetUp(bool up) const { return Run({"ip", "link", "set", name_, up ? "up" : "down"}); }

  // Of this process, as seen from there.
  std::string Host() const { return network_ + "1"; }
  // What runs a command there.
  std::vector<std::string> Launcher() const {
    return {"nsenter", absl::StrCat("--net=/proc/", holder_.pid(), "/ns/net"), "--"};
  }

 private:
  static std::string NetworkOf(const std::string& process) {
    char buffer[64] = "";
    (void)!readlink(absl::StrCat("/proc/", process, "/ns/net").c_str(), buffer, sizeof(buffer) - 1);
    return buffer;
  }

  std::string RunInside(const std::vector<std::string>& command) const {
    std::vector<std::string> words = Launcher();
    words.insert(words.end(), command.begin(), command.end());
    return Run(words);
  }

  const std::string name_;
  const std::string network_;
  ChildProcess holder_;  // ends with its input
};

class NetworkNamespaceTest : public CountingBench {
 protected:
  static void SetUpTestSuite() { obstacle_ = LeaveTheNetwork(); }
  static void TearDownTestSuite() { tally_.Print(); }

  void SetUp() override {
    // The links of a test before go with their namespaces, some time after: these have names of their own.
    static int made = 0;
    for (int rank = 0; rank < kRanks && obstacle_.empty(); ++rank) {
      neighbours_.push_back(std::make_unique<Neighbour>(++made));
      obstacle_ = neighbours_.back()->Join();
    }
    if (!obstacle_.empty()) GTEST_SKIP() << "this machine lends no network namespaces: " << obstacle_;
    coordinator_options_.listen = "0.0.0.0:0";
    coordinator_options_.flags = {"--insecure"};
    CountingBench::SetUp();
  }

  Place PlaceOf(int rank) const override {
    const std::vector<std::string> parts = absl::StrSplit(coordinator_options_.listen, ':');
    return {neighbours_[rank]->Launcher(), absl::StrCat(neighbours_[rank]->Host(), ":", parts[1])};
  }

  void SetLinks(const std::vector<int>& ranks, bool up) {
    for (const int rank : ranks) ASSERT_EQ(neighbours_[rank]->SetUp(up), "");
    if (!up) tally_.Add("link down", static_cast<int64_t>(ranks.size()));
  }

  void ExpectNothingLost() {
    ASSERT_NO_FATAL_FAILURE(ExpectReferenceAtTheEnd());
    EXPECT_EQ(LostSteps(), 0);
    tally_.AddLost(static_cast<int64_t>(LostSteps()));
  }

  static constexpr int kRanks = 3;
  static std::string obstacle_;
  static FaultTally tally_;
  std::vector<std::unique_ptr<Neighbour>> neighbours_;
};

std::string NetworkNamespaceTest::obstacle_;
FaultTally NetworkNamespaceTest::tally_;

TEST_F(NetworkNamespaceTest, WorkersThatHoldGoOnWithoutALinkAndLoseNothing) {
  StartJob(Alone(kRanks), /*steps=*/120, {{"on_loss", "hold"}, {"patience_ms", "100"}});
  uint64_t step = 10;
  GoTo(step);
  ASSERT_TRUE(AwaitLines(step));
  for (const std::vector<int>& cut : {std::vector<int>{1}, {0, 2}, {0, 1, 2}}) {
    SetLinks(cut, /*up=*/false);
    GoTo(step += 20);
    ASSERT_TRUE(AwaitLines(step));
    SetLinks(cut, /*up=*/true);
    AwaitCommitted(step);
    GoTo(step += 10);
    ASSERT_TRUE(AwaitLines(step));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
}

TEST_F(NetworkNamespaceTest, WorkersThatWaitGoOnWhenTheLinkIsBack) {
  StartJob(Alone(kRanks), /*steps=*/60, {{"on_loss", "wait"}});
  uint64_t step = 10;
  GoTo(step);
  ASSERT_TRUE(AwaitLines(step));
  for (int rank = 0; rank < kRanks; ++rank) {
    SetLinks({rank}, /*up=*/false);
    GoTo(step += 10);
    // The others' pushes are there, and this one's is not.
    AwaitCommitted(step - 10);
    SetLinks({rank}, /*up=*/true);
    ASSERT_TRUE(AwaitLines(step));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  for (int rank = 0; rank < kRanks; ++rank) {
    for (const StepLine& line : Lines(rank)) ASSERT_EQ(line.staleness, 0) << "rank " << rank;
  }
}

}  // namespace
}  // namespace evenkeel::tests
