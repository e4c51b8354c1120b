#include "tools/watch_command.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"
#include "tools/standouts.h"
#include "tools/watch/frame.h"
#include "tools/watch/keys.h"
#include "tools/watch/poller.h"
#include "tools/watch/terminal.h"
#include "tools/watch_lines.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp = R"(evenkeel watch: a running job, live, in the terminal.

  evenkeel watch [--job NAME] [--coordinator HOST:PORT] [--interval SECONDS] [--once] [--json] [--timeout SECONDS]

  --job NAME               absent: the first job, of which those that need somebody come first
  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --interval SECONDS       how often the coordinator is asked, 0.1 to 3600; absent: 1
  --once                   one picture, and an end; where the output is no terminal, of $COLUMNS x $LINES characters
  --json                   a JSON object for each step seen, on a line of its own: job, epoch, step, open_step, joined,
                           contributors, max_violation, worst, stand_outs; {"error": ...} while no answer comes
  --timeout SECONDS        how long to wait for an answer; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'

The screen shows what stands out (as 'evenkeel status'), the max violation of the steps seen, the most uneven layers, and
the load of every expert in the last step: a row is a layer, a column an expert. Even is dark; blue has too little, red
and yellow too much; magenta had no token at all. Where the window has fewer columns than a layer has experts, a column
is the fullest of several, and the heading says so. Where it has too few lines, it shows the layers around the one chosen.

  q        quit                             up, down (k, j)     choose a layer: its fullest and emptiest experts
  Ctrl-Z   stop, to go on by 'fg'           tab, left, right    the next job, or the one before

Colours are 24-bit where COLORTERM is truecolor or 24bit, else of 256; with NO_COLOR, or TERM=dumb, characters are shown:
x , . - = + * # from dead to four times the share, = even. Without a UTF-8 locale no half blocks are drawn.

Where the output is no terminal, or TERM=dumb, there is a line for each step seen instead, at most one an interval, and
one when the open step begins, or ends, to need somebody. A coordinator that cannot be reached is said so, and asked again
until it can.

Example:

  evenkeel watch
  evenkeel watch --job pretrain-7b --interval 5
  evenkeel watch --job pretrain-7b --once
  evenkeel watch --job pretrain-7b --json >> steps.jsonl
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  double interval = 1;
  bool once = false;
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  const Flag own[] = {
      {"job", &options->job}, {"interval", &options->interval}, {"once", &options->once}, {"json", &options->json}};
  flags.insert(flags.end(), std::begin(own), std::end(own));
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (!(options->interval >= 0.1 && options->interval <= 3600)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--interval: ", options->interval, " is not between 0.1 and 3600 seconds"));
  }
  return CheckCoordinator(options->coordinator);
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

TerminalStyle EnvironmentStyle() {
  std::string locale = Variable("LC_ALL");
  if (locale.empty()) locale = Variable("LC_CTYPE");
  if (locale.empty()) locale = Variable("LANG");
  return StyleOf(Variable("NO_COLOR"), Variable("TERM"), Variable("COLORTERM"), locale);
}

bool IsTerminal(const Streams& streams) { return &streams.out == &std::cout && isatty(STDOUT_FILENO) == 1; }

bool IsScreen(const Streams& streams) {
  const std::string term = Variable("TERM");
  return IsTerminal(streams) && isatty(STDIN_FILENO) == 1 && !term.empty() && term != "dumb";
}

// What is shown of a coordinator whose answers are `answer`.
class Watching {
 public:
  Watching(const Options& options, TerminalStyle style) : style_(style) {
    view_.coordinator = options.coordinator.address;
    view_.job = options.job;
  }

  void Take(WatchAnswer answer) {
    view_.trouble = answer.status.ok() ? "" : std::string(answer.status.message());
    if (!answer.jobs.empty() || answer.status.ok()) view_.jobs = std::move(answer.jobs);
    if (!answer.status.ok()) return;
    if (answer.job != view_.job) Forget();
    view_.job = answer.job;
    const uint64_t step = answer.description.summary().version().step();
    if (step != view_.description.summary().version().step()) {
      view_.violations.push_back(answer.description.summary().max_violation());
      constexpr size_t kMost = 512;
      if (view_.violations.size() > kMost) view_.violations.pop_front();
    }
    view_.description = std::move(answer.description);
    view_.rows = std::move(answer.rows);
    view_.loads_step = answer.loads_step;
    Select(0);
  }

  // Moves the choice of a layer.
  void Select(int by) {
    view_.selected = std::clamp(view_.selected + by, 0, std::max(0, static_cast<int>(view_.rows.size()) - 1));
  }

  // The job that is so many places away; empty where there is no other.
  std::string ChooseJob(int by) {
    const int count = static_cast<int>(view_.jobs.size());
    if (count < 2) return "";
    const auto place =
        static_cast<int>(std::find(view_.jobs.begin(), view_.jobs.end(), view_.job) - view_.jobs.begin());
    Forget();
    view_.job = view_.jobs[static_cast<size_t>((std::min(place, count) + by + count) % count)];
    return view_.job;
  }

  std::vector<std::string> Lines(const WindowSize& size) const { return Frame(view_, size, style_); }

 private:
  void Forget() {
    view_.description.Clear();
    view_.rows.clear();
    view_.violations.clear();
    view_.selected = 0;
  }

  const TerminalStyle style_;
  WatchView view_;
};

// False where it is to end.
bool TakeKeysInto(std::string* typed, Watching* watching, WatchPoller* poller) {
  for (const Key key : TakeKeys(typed)) {
    if (key == Key::kQuit) return false;
    if (key == Key::kUp) watching->Select(-1);
    if (key == Key::kDown) watching->Select(1);
    if (key != Key::kNextJob && key != Key::kPreviousJob) continue;
    const std::string job = watching->ChooseJob(key == Key::kNextJob ? 1 : -1);
    if (!job.empty()) poller->Choose(job);
  }
  return true;
}

void WatchOnScreen(const Options& options) {
  Watching watching(options, EnvironmentStyle());
  Terminal terminal;
  WatchPoller poller(options.coordinator, absl::Seconds(options.interval), options.job);
  std::string typed;
  bool has_answer = false;
  while (true) {
    const Terminal::Events events = terminal.Wait(poller.descriptor());
    if (events.ended) return;
    if (events.stopped) terminal.Suspend();
    if (events.resized) terminal.Forget();
    if (events.other) {
      watching.Take(poller.Take());
      has_answer = true;
    }
    typed += events.typed;
    if (!TakeKeysInto(&typed, &watching, &poller)) return;
    if (has_answer) terminal.Draw(watching.Lines(terminal.size()));
  }
}

int NumberOr(const std::string& text, int otherwise) {
  int value = 0;
  return absl::SimpleAtoi(text, &value) && value > 0 && value <= 10000 ? value : otherwise;
}

absl::Status ShowOnce(const Options& options, Streams streams) {
  WatchAnswer answer = WatchCaller(options.coordinator, /*with_loads=*/!options.json).Ask(options.job);
  EVENKEEL_RETURN_IF_ERROR(answer.status);
  if (options.json) {
    streams.out << (answer.job.empty() ? "{\"job\": null}" : WatchLineJson(answer.description)) << "\n";
    return absl::OkStatus();
  }
  TerminalStyle style = EnvironmentStyle();
  if (!IsTerminal(streams)) style = {TerminalStyle::Colours::kNone, style.half_blocks, /*emphasis=*/false};
  Watching watching(options, style);
  watching.Take(std::move(answer));
  const WindowSize size = {NumberOr(Variable("COLUMNS"), 100), NumberOr(Variable("LINES"), 40)};
  for (const std::string& line : watching.Lines(size)) streams.out << line << "\n";
  return absl::OkStatus();
}

void ShowLine(const Options& options, const WatchAnswer& answer, Streams streams) {
  if (answer.status.ok()) {
    streams.out << (options.json ? WatchLineJson(answer.description) : WatchLine(answer.description)) << "\n";
  } else if (options.json) {
    streams.out << "{\"error\": " << JsonString(answer.status.message()) << "}\n";
  } else {
    streams.out << answer.status.message() << "\n";
  }
  streams.out.flush();
}

// Ends with the process, or with its output.
void WatchInLines(const Options& options, Streams streams) {
  WatchCaller caller(options.coordinator, /*with_loads=*/false);
  std::string last;
  // What was the first job stays the one that is told of.
  std::string chosen = options.job;
  while (streams.out) {
    const absl::Time next = absl::Now() + absl::Seconds(options.interval);
    const WatchAnswer answer = caller.Ask(chosen);
    if (chosen.empty()) chosen = answer.job;
    const v1::JobSummary& job = answer.description.summary();
    const std::string now = answer.status.ok()
                                ? absl::StrCat(job.name(), " ", job.version().epoch(), " ", job.version().step(),
                                               IsInTrouble(answer.description) ? " in trouble" : "")
                                : std::string(answer.status.message());
    if (now != last && !(answer.status.ok() && answer.job.empty())) ShowLine(options, answer, streams);
    last = now;
    absl::SleepFor(next - absl::Now());
  }
}

absl::Status Watch(const Options& options, Streams streams) {
  if (options.once) return ShowOnce(options, streams);
  if (!options.json && IsScreen(streams)) {
    WatchOnScreen(options);
  } else {
    WatchInLines(options, streams);
  }
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("watch", usage, streams.err);
  return Finish("watch", Watch(options, streams), streams.err);
}

}  // namespace

const Command kWatchCommand = {"watch", "a running job, live: who keeps it, and the load of every expert", kHelp, Run};

}  // namespace evenkeel::tools
