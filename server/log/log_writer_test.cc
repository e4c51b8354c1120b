#include "server/log/log_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixMillis(1'795'323'600'123);

// What lies between writers and a test.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    if (ends_[1] >= 0) close(ends_[1]);
    close(ends_[0]);
  }
  int in() const { return ends_[1]; }
  // Everything that was written, line by line, the last of which is empty.
  std::vector<std::string> Lines() {
    close(ends_[1]);
    ends_[1] = -1;
    std::string text;
    char bytes[4096];
    for (ssize_t size; (size = read(ends_[0], bytes, sizeof(bytes))) > 0;) text.append(bytes, size);
    return absl::StrSplit(text, '\n');
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST(LogWriterTest, TextIsForPeople) {
  EXPECT_EQ(LogLine(InfoEvent("serving", "serving on 127.0.0.1:7411"), LogFormat::kText, kNow),
            "evenkeeld: serving on 127.0.0.1:7411\n");
  EXPECT_EQ(LogLine(WarningEvent("violation", "job \"a\", step 7: counts", "a"), LogFormat::kText, kNow),
            "evenkeeld: warning: job \"a\", step 7: counts\n");
  EXPECT_EQ(LogLine(ErrorEvent("store_failed", "disk full"), LogFormat::kText, kNow), "evenkeeld: error: disk full\n");
}

TEST(LogWriterTest, JsonIsOneObject) {
  EXPECT_EQ(LogLine(WarningEvent("violation", "job \"a\\b\", \x01", "a\"b"), LogFormat::kJson, kNow),
            "{\"time\": \"2026-11-22T05:00:00.123Z\", \"level\": \"warning\", \"event\": \"violation\", "
            "\"job\": \"a\\\"b\", \"message\": \"job \\\"a\\\\b\\\", \\u0001\"}\n");
  EXPECT_EQ(LogLine(InfoEvent("serving", "here"), LogFormat::kJson, kNow),
            "{\"time\": \"2026-11-22T05:00:00.123Z\", \"level\": \"info\", \"event\": \"serving\", "
            "\"message\": \"here\"}\n");
}

TEST(LogWriterTest, LeavesOutWhatIsBelowItsLevel) {
  Pipe pipe;
  const LogWriter writer(pipe.in(), LogFormat::kText, LogEvent::Level::kWarning);
  writer.Write(InfoEvent("one", "one"));
  writer.Write(WarningEvent("two", "two"));
  writer.Write(ErrorEvent("three", "three"));
  EXPECT_THAT(pipe.Lines(), ElementsAre("evenkeeld: warning: two", "evenkeeld: error: three", ""));
}

TEST(LogWriterTest, LinesOfThreadsStayWhole) {
  Pipe pipe;
  const LogWriter writer(pipe.in(), LogFormat::kText, LogEvent::Level::kInfo);
  constexpr int kThreads = 4;
  constexpr int kLines = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&writer, i] {
      for (int line = 0; line < kLines; ++line)
        writer.Write(InfoEvent("x", std::string(60, static_cast<char>('a' + i))));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::string> lines = pipe.Lines();
  lines.pop_back();
  EXPECT_EQ(lines.size(), size_t{kThreads * kLines});
  for (const std::string& line : lines) {
    EXPECT_EQ(line, absl::StrCat("evenkeeld: ", std::string(60, line.back())));
  }
}

TEST(LogWriterTest, ALogThatIsGoneHoldsNothingUp) {
  const LogWriter writer(/*file=*/-1, LogFormat::kJson, LogEvent::Level::kInfo);
  writer.Write(InfoEvent("one", "one"));
}

TEST(LogWriterTest, WordsOfTheConfiguration) {
  EXPECT_EQ(*LogFormatOf("log_format", "text"), LogFormat::kText);
  EXPECT_EQ(*LogFormatOf("log_format", "json"), LogFormat::kJson);
  EXPECT_EQ(*LogLevelOf("log_level", "info"), LogEvent::Level::kInfo);
  EXPECT_EQ(*LogLevelOf("log_level", "warning"), LogEvent::Level::kWarning);
  EXPECT_EQ(*LogLevelOf("log_level", "error"), LogEvent::Level::kError);
  EXPECT_THAT(LogFormatOf("log_format", "xml").status().message(),
              HasSubstr("log_format is \"xml\"; it must be one of text, json"));
  EXPECT_THAT(LogLevelOf("log_level", "").status().message(), HasSubstr("log_level is \"\"; it must be one of info"));
}

}  // namespace
}  // namespace evenkeel
