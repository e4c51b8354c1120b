#include "server/engine/worker_view.h"

#include <cmath>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace evenkeel::engine {
namespace {

void AddWorker(core::Fleet* fleet, const std::string& device, const std::vector<std::string>& paths = {}) {
  auto worker = std::make_shared<v1::WorkerInfo>();
  worker->set_hostname(absl::StrCat("host", fleet->workers.size()));
  worker->set_device(device);
  worker->set_compute_capability(90);
  worker->set_library_version("1.2.3");
  for (const std::string& path : paths) worker->add_routing_paths(path);
  fleet->workers.push_back(worker);
}

TEST(WorkerViewTest, WorkersThatAreAlikeAreOneKind) {
  core::Fleet fleet;
  AddWorker(&fleet, "NVIDIA A100");
  for (int i = 0; i < 3; ++i) AddWorker(&fleet, "NVIDIA H200");
  telemetry::JobView view;
  DescribeWorkers(fleet, &view);
  ASSERT_EQ(view.workers.size(), 2u);
  EXPECT_EQ(view.workers[0].contributors, 3);
  EXPECT_EQ(view.workers[0].info.at("device"), "NVIDIA H200");
  EXPECT_EQ(view.workers[0].info.at("compute_capability"), "9.0");
  EXPECT_EQ(view.workers[0].info.at("driver_version"), "");
  EXPECT_EQ(view.workers[0].info.size(), 7u) << "a host's name is no kind";
  EXPECT_EQ(view.worker_versions.at("device"), 2);
  EXPECT_EQ(view.worker_versions.at("library_version"), 1);
  EXPECT_EQ(view.worker_versions.size(), 6u);
}

TEST(WorkerViewTest, PathsAreNamedOnceAndHeldAgainstEachOtherLayerByLayer) {
  core::Fleet fleet;
  AddWorker(&fleet, "", {"avx512", "avx512", "reference"});
  AddWorker(&fleet, "", {"avx512", "reference", "reference"});
  telemetry::JobView view;
  DescribeWorkers(fleet, &view);
  ASSERT_EQ(view.workers.size(), 1u);
  EXPECT_EQ(view.workers[0].info.at("routing_paths"), "avx512,reference");
  EXPECT_EQ(view.worker_versions.at("routing_paths"), 2);
}

TEST(WorkerViewTest, WhatWorkersSayCannotFillThePage) {
  core::Fleet fleet;
  for (int i = 0; i < 40; ++i) AddWorker(&fleet, absl::StrCat("d", i));
  AddWorker(&fleet, std::string(99, 'x') + "\xC3\xA9" + std::string(1000, 'y'));
  telemetry::JobView view;
  DescribeWorkers(fleet, &view);
  ASSERT_EQ(view.workers.size(), 17u);
  EXPECT_EQ(view.workers[16].info.at("device"), "others");
  EXPECT_EQ(view.workers[16].contributors, 25);
  EXPECT_EQ(view.worker_versions.at("device"), 41);
  fleet.workers.erase(fleet.workers.begin(), fleet.workers.end() - 1);
  DescribeWorkers(fleet, &view);
  EXPECT_EQ(view.workers[0].info.at("device"), std::string(99, 'x')) << "no half of a character";
}

TEST(WorkerViewTest, FiguresAreThereOnceAWorkerTells) {
  core::Fleet fleet;
  fleet.lag_steps = 4;
  fleet.ranks = 16;
  fleet.ranks_reporting = 12;
  telemetry::JobView view;
  DescribeWorkers(fleet, &view);
  EXPECT_EQ(view.lag_steps, 4u);
  EXPECT_EQ(view.ranks, 16);
  EXPECT_EQ(view.ranks_reporting, 12);
  EXPECT_TRUE(std::isnan(view.worker_staleness));
  EXPECT_EQ(view.worker_versions.at("device"), 0);
  fleet.has_figures = true;
  fleet.figures.set_staleness(3);
  fleet.figures.set_undelivered_steps(2);
  fleet.figures.set_lost_steps(1);
  fleet.figures.set_max_commit_host_ns(5'000);
  DescribeWorkers(fleet, &view);
  EXPECT_EQ(view.worker_staleness, 3);
  EXPECT_EQ(view.worker_undelivered_steps, 2);
  EXPECT_EQ(view.worker_lost_steps_total, 1);
  EXPECT_DOUBLE_EQ(view.worker_commit_host_seconds, 5e-6);
}

}  // namespace
}  // namespace evenkeel::engine
