#include <iostream>
#include <string>
#include <vector>

#include "tools/check_selection_command.h"
#include "tools/command.h"
#include "tools/describe_model_command.h"
#include "tools/export_command.h"
#include "tools/import_command.h"
#include "tools/replay_command.h"
#include "tools/report_command.h"
#include "tools/route_command.h"
#include "tools/set_command.h"
#include "tools/status_command.h"
#include "tools/token_command.h"
#include "tools/top_experts_command.h"
#include "tools/watch_command.h"

int main(int argc, char** argv) {
  using namespace evenkeel::tools;
  const std::vector<std::string> args(argv + 1, argv + argc);
  return RunProgram(
      {&kDescribeModelCommand, &kRouteCommand, &kReplayCommand, &kStatusCommand, &kWatchCommand, &kTopExpertsCommand,
       &kReportCommand, &kSetCommand, &kExportCommand, &kImportCommand, &kCheckSelectionCommand, &kTokenCommand},
      args, {std::cout, std::cerr});
}
