#include "tools/report_command.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tools/coordinator_call.h"
#include "tools/durable_file.h"
#include "tools/flags.h"
#include "tools/report/called_run.h"
#include "tools/report/page.h"
#include "tools/report/recorded_run.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp = R"(evenkeel report: the pictures of a run as one HTML file.

  evenkeel report --record FOLDER [--job NAME] --out FILE
  evenkeel report --job NAME [--coordinator HOST:PORT] [--timeout SECONDS] --out FILE

  --record FOLDER          the record_dir of a coordinator: the whole run, every commit replayed
  --job NAME               which job; of a record it may be left out where there is one job only
  --coordinator HOST:PORT  without --record: what a running coordinator remembers, since its start; absent:
                           127.0.0.1:7411
  --timeout SECONDS        how long to wait for its answers; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'
  --out FILE               replaced whole, or, after an error, left as it was

The page shows what the run was (layers, experts, steps, tokens, rule), what stood out at its end, the max violation over
the steps beside the noise floor, the load of every expert at the end and at the start, the bias of the most uneven
layers, a table of all layers, how the config was changed, and what happened: gaps, rewinds, restarts, skipped steps,
numbers that could not be right.

It is one file, under 2 MB for 61 layers of 256 experts, without scripts and without anything from elsewhere: to be kept,
sent, printed. A replay of a long record takes a while and says on stderr how far it is.

Example:

  evenkeel report --record /var/lib/evenkeel/record --job pretrain-7b --out pretrain-7b.html
  evenkeel report --job pretrain-7b --out now.html
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string record;
  std::string job;
  std::string out;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  flags.push_back({"record", &options->record});
  flags.push_back({"job", &options->job});
  flags.push_back({"out", &options->out, /*is_required=*/true});
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (options->record.empty() && options->job.empty()) {
    return absl::InvalidArgumentError("give --record (a folder), or --job (of a running coordinator)");
  }
  return CheckCoordinator(options->coordinator);
}

absl::Status Report(const Options& options, Streams streams) {
  EVENKEEL_ASSIGN_OR_RETURN(const RunPicture picture, options.record.empty()
                                                          ? CallForRun(options.coordinator, options.job)
                                                          : ReadRecordedRun(options.record, options.job, streams.err));
  EVENKEEL_RETURN_IF_ERROR(WriteDurably(options.out, {ReportPage(picture)}));
  const v1::JobSummary& job = picture.description.summary();
  streams.out << "the report of job " << absl::Utf8SafeCEscape(job.name()) << " after step " << job.version().step()
              << " is in " << options.out << "\n";
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("report", usage, streams.err);
  return Finish("report", Report(options, streams), streams.err);
}

}  // namespace

const Command kReportCommand = {"report", "the pictures of a run as one HTML file", kHelp, Run};

}  // namespace evenkeel::tools
