#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/telemetry/expert_mode.h"
#include "server/telemetry/families.h"
#include "server/telemetry/job_sample.h"
#include "server/telemetry/process_sample.h"

namespace evenkeel::telemetry {

// The metrics pages, in the Prometheus text format, version 0.0.4. Here, and in the parts below, the metrics have their
// names. Pure, thread-safe.
std::string RenderPage(const std::vector<JobSample>& jobs, const ProcessSample& process);
std::string RenderExpertPage(const std::vector<std::shared_ptr<const ExpertView>>& jobs, const ExpertMode& mode);

// The parts of the first page.
void AddJobFamilies(const std::vector<JobSample>& jobs, Families* page);
void AddWorkerFamilies(const std::vector<JobSample>& jobs, Families* page);
void AddLayerFamilies(const std::vector<JobSample>& jobs, Families* page);
void AddProcessFamilies(const ProcessSample& process, Families* page);

}  // namespace evenkeel::telemetry
