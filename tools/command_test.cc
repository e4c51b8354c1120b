#include "tools/command.h"

#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;

const Command kEcho = {"echo", "says its arguments", "evenkeel echo: the page of echo\n",
                       [](Args args, Streams streams) {
                         streams.out << absl::StrJoin(args, " ");
                         return kExitOk;
                       }};
const Command kGreedy = {"greedy", "wants all memory", "the page of greedy\n",
                         [](Args, Streams) -> int { throw std::bad_alloc(); }};

// The program of both commands.
Outcome RunWithBoth(const std::vector<std::string>& args) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = RunProgram({&kEcho, &kGreedy}, args, {out, err});
  return {code, out.str(), err.str()};
}

TEST(CommandTest, RunsTheNamedCommandWithTheRest) {
  const Outcome outcome = RunWithBoth({"echo", "--a", "b"});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_EQ(outcome.out, "--a b");
  EXPECT_EQ(outcome.err, "");
}

TEST(CommandTest, HelpListsTheCommandsAndShowsTheirPages) {
  for (const char* word : {"--help", "-h", "help"}) {
    const Outcome outcome = RunWithBoth({word});
    EXPECT_EQ(outcome.code, kExitOk);
    EXPECT_THAT(outcome.out, HasSubstr("evenkeel echo             says its arguments\n"));
    EXPECT_THAT(outcome.out, HasSubstr("evenkeel greedy           wants all memory\n"));
  }
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"echo", "--help"}, {"echo", "x", "--help"}, {"help", "echo"}, {"--help", "echo"}}) {
    const Outcome outcome = RunWithBoth(args);
    EXPECT_EQ(outcome.code, kExitOk);
    EXPECT_EQ(outcome.out, kEcho.help);
  }
}

TEST(CommandTest, WrongCommandLinesExitWith2AndAHint) {
  const Outcome nothing = RunWithBoth({});
  EXPECT_EQ(nothing.code, kExitUsage);
  EXPECT_EQ(nothing.out, "");
  EXPECT_THAT(nothing.err, HasSubstr("evenkeel echo"));

  for (const std::vector<std::string>& args : {std::vector<std::string>{"ecko"}, {"help", "ecko"}}) {
    const Outcome unknown = RunWithBoth(args);
    EXPECT_EQ(unknown.code, kExitUsage);
    EXPECT_EQ(unknown.err,
              "evenkeel: unknown command \"ecko\"; the commands are echo, greedy\nTry 'evenkeel --help'.\n");
  }

  std::ostringstream err;
  EXPECT_EQ(RefuseUsage("echo", absl::InvalidArgumentError("--x is unknown"), err), kExitUsage);
  EXPECT_EQ(err.str(), "evenkeel echo: --x is unknown\nTry 'evenkeel echo --help'.\n");
}

TEST(CommandTest, AnErrorIsOneLine) {
  std::ostringstream err;
  EXPECT_EQ(Finish("echo", absl::OkStatus(), err), kExitOk);
  EXPECT_EQ(err.str(), "");
  EXPECT_EQ(Finish("echo", absl::InternalError("first\nsecond"), err), kExitFailed);
  EXPECT_EQ(err.str(), "evenkeel echo: first second\n");
}

TEST(CommandTest, RunningOutOfMemoryIsAnErrorLikeOthers) {
  const Outcome outcome = RunWithBoth({"greedy"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_EQ(outcome.err, "evenkeel greedy: not enough memory\n");
}

TEST(CommandTest, AnOutputThatCannotBeWrittenIsAnError) {
  std::ostringstream out;
  std::ostringstream err;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(RunProgram({&kEcho}, std::vector<std::string>{"echo"}, {out, err}), kExitFailed);
  EXPECT_EQ(err.str(), "evenkeel echo: the standard output cannot be written\n");
}

}  // namespace
}  // namespace evenkeel::tools
