#include "server/telemetry/page.h"

namespace evenkeel::telemetry {

std::string RenderPage(const std::vector<JobSample>& jobs, const ProcessSample& process) {
  Families page;
  AddProcessFamilies(process, &page);
  AddJobFamilies(jobs, &page);
  AddWorkerFamilies(jobs, &page);
  AddLayerFamilies(jobs, &page);
  return Serialize(page);
}

}  // namespace evenkeel::telemetry
