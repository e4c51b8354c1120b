#include "client/examples/flags.h"

#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace text_worker {

using evenkeel::Status;
using evenkeel::StatusCode;

const char kHelp[] =
    R"(text_worker: routes the bytes of real text, or work made up, through mixture-of-experts
routers and lets evenkeeld balance them. Start evenkeeld, then one worker for each rank:

  text_worker --rank 0 --world-size 2 &
  text_worker --rank 1 --world-size 2

Each step it makes a hidden state of every byte and of those before it, routes it through all
layers, commits its counts, and waits for the bias of the next step.

The job, which all of its workers must be given alike:
  --coordinator HOST:PORT  where evenkeeld listens             (127.0.0.1:7411)
  --job NAME               name of the training run            (quickstart)
  --world-size N           workers that every step waits for   (1)
  --layers L               routers                             (8)
  --experts E              experts of each                     (64)
  --top-k K                experts chosen for a token          (6)
  --balance JSON           a BalanceConfig, for example '{"preset": "loss_free", "rate": 0.001}'
                           (the coordinator's default)
This worker:
  --rank I                 its place, 0 to N - 1               (0)
  --next-step S            step to begin with: 1, or where an earlier run of the job ended  (1)
  --steps S                step to end with                    (200)
  --device N|cpu|auto      where it routes and counts: a GPU by its number, the processor, or
                           GPU 0 where there is one, else the processor. Tokens and logits are
                           made on the processor; the bias has the same bits everywhere  (auto)
The work, which decides what the steps count:
  --text PATH...           files, or folders with all below    (/usr/share/common-licenses)
  --hidden H               numbers in a hidden state           (64)
  --tokens T               tokens of a step: bytes of text     (2048)
  --micro-batches M        parts that a step is routed in      (2)
  --seed S                 of everything random                (1)
Work made up, in place of text and model:
  --synthetic              logits of random numbers of variance 1, to which the following add
  --skew SD                popularity: some experts are wanted more than others. The standard
                           deviation of what is added to their logits; 0 is even. Of 64 experts
                           with top-k 6, 0.5 makes maximum violation 1.9, 1 makes 3.6, 2 makes 6  (1)
  --drift CYCLES           change: cycles per step from most wanted to least and back. At 0.001
                           the order is reversed after 500 steps, and the bias has to follow      (0)
  --dead-experts N         experts of each layer that win no token until their bias lifts them    (0)
  --padding SHARE          tokens that are padding, 0 to 1: the valid mask keeps them from
                           being routed and counted                                               (0)
Output:
  --json                   one JSON object a line: begin, commit and step events, and done
  --help                   this

Exit codes: 0 done, 1 an error (one line on stderr), 2 wrong usage.
)";

namespace {

Status Wrong(const std::string& message) { return Status(StatusCode::kInvalidArgument, message); }

std::string Text(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

template <typename Integer>
std::string Text(Integer number) {
  return std::to_string(number);
}

template <typename Number>
Status ParseNumber(const std::string& flag, const std::string& text, Number min, Number max, Number* number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *number);
  if (error == std::errc() && stop == end && *number >= min && *number <= max) return Status();
  return Wrong(flag + " is \"" + text + "\"; " + Text(min) + " to " + Text(max) + " are allowed");
}

// One flag that takes a value: what to do with it.
using Setter = std::function<Status(const std::string& flag, const std::string& value)>;

Setter To(std::string* target) {
  return [target](const std::string& flag, const std::string& value) {
    *target = value;
    return Status();
  };
}

template <typename Number>
Setter To(Number* target, Number min, Number max) {
  return [=](const std::string& flag, const std::string& value) { return ParseNumber(flag, value, min, max, target); };
}

Setter ToDevice(int* device) {
  return [device](const std::string& flag, const std::string& value) {
    if (value == "cpu" || value == "auto") {
      *device = value == "cpu" ? Flags::kHost : Flags::kAuto;
      return Status();
    }
    if (ParseNumber(flag, value, 0, 1023, device).ok()) return Status();
    return Wrong(flag + " is \"" + value + "\"; cpu, auto and 0 to 1023 are allowed");
  };
}

std::map<std::string, Setter> SettersOf(Flags* flags) {
  constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();
  return {
      {"--coordinator", To(&flags->coordinator)},
      {"--job", To(&flags->job)},
      {"--rank", To(&flags->rank, 0, 65535)},
      {"--world-size", To(&flags->world_size, 1, 65536)},
      {"--next-step", To<uint64_t>(&flags->next_step, 1, kAny / 2)},
      {"--steps", To<uint64_t>(&flags->steps, 1, kAny / 2)},
      {"--layers", To(&flags->layers, 1, 1024)},
      {"--experts", To(&flags->experts, 1, 16384)},
      {"--top-k", To(&flags->top_k, 1, 16384)},
      {"--tokens", To(&flags->tokens, 1, 1 << 24)},
      {"--hidden", To(&flags->hidden, 1, 65536)},
      {"--micro-batches", To(&flags->micro_batches, 1, 1 << 16)},
      {"--seed", To<uint64_t>(&flags->seed, 0, kAny)},
      {"--skew", To(&flags->skew, 0.0, 1000.0)},
      {"--drift", To(&flags->drift, 0.0, 1.0)},
      {"--dead-experts", To(&flags->dead_experts, 0, 16383)},
      {"--padding", To(&flags->padding, 0.0, 1.0)},
      {"--balance", To(&flags->balance)},
      {"--device", ToDevice(&flags->device)},
  };
}

bool IsFlag(const std::string& argument) { return argument.rfind("--", 0) == 0; }

// What text and made-up work have each for itself.
const std::set<std::string> kOfText = {"--text", "--hidden"};
const std::set<std::string> kOfSynthetic = {"--skew", "--drift", "--dead-experts", "--padding"};

Status CheckTogether(const Flags& flags, const std::set<std::string>& given) {
  for (const std::string& name : given) {
    if (flags.synthetic && kOfText.count(name) > 0) return Wrong(name + " has no meaning with --synthetic");
    if (!flags.synthetic && kOfSynthetic.count(name) > 0) return Wrong(name + " has no meaning without --synthetic");
  }
  if (flags.rank >= flags.world_size) {
    return Wrong("--rank is " + std::to_string(flags.rank) + "; it must be below --world-size " +
                 std::to_string(flags.world_size));
  }
  if (flags.top_k > flags.experts) {
    return Wrong("--top-k is " + std::to_string(flags.top_k) + "; it must be at most --experts " +
                 std::to_string(flags.experts));
  }
  if (flags.dead_experts > flags.experts - flags.top_k) {
    return Wrong("--dead-experts is " + std::to_string(flags.dead_experts) +
                 "; it must be at most --experts less --top-k, " + std::to_string(flags.experts - flags.top_k));
  }
  if (flags.steps < flags.next_step) {
    return Wrong("--steps is " + std::to_string(flags.steps) + "; it must be at least --next-step " +
                 std::to_string(flags.next_step));
  }
  return Status();
}

}  // namespace

evenkeel::Result<Flags> ParseFlags(const std::vector<std::string>& arguments) {
  Flags flags;
  const std::map<std::string, bool*> switches = {
      {"--help", &flags.help}, {"--json", &flags.json}, {"--synthetic", &flags.synthetic}};
  const std::map<std::string, Setter> setters = SettersOf(&flags);
  std::set<std::string> given;
  size_t next = 0;
  while (next < arguments.size()) {
    std::string name = arguments[next++];
    if (const auto found = switches.find(name); found != switches.end()) {
      *found->second = true;
      continue;
    }
    std::vector<std::string> values;
    if (const size_t equals = name.find('='); IsFlag(name) && equals != std::string::npos) {
      values.push_back(name.substr(equals + 1));
      name.resize(equals);
    }
    const auto setter = setters.find(name);
    if (setter == setters.end() && name != "--text") return Wrong(name + " is no flag; --help lists them");
    // --text takes all values up to the next flag, the others one.
    while (next < arguments.size() && !IsFlag(arguments[next]) && (name == "--text" || values.empty())) {
      values.push_back(arguments[next++]);
    }
    if (values.empty()) return Wrong(name + " needs a value");
    given.insert(name);
    if (name == "--text") {
      flags.text = values;
      continue;
    }
    Status status = setter->second(name, values.front());
    if (!status.ok()) return status;
  }
  Status status = flags.help ? Status() : CheckTogether(flags, given);
  if (!status.ok()) return status;
  return flags;
}

}  // namespace text_worker
