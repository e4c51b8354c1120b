#include "tools/worker_view.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

v1::WorkerInfo Worker() {
  v1::WorkerInfo worker;
  worker.set_device("NVIDIA H200");
  worker.set_compute_capability(90);
  worker.set_device_memory(uint64_t{141} << 30);
  worker.set_library_version("0.4.0");
  for (int i = 0; i < 61; ++i) worker.add_routing_paths(i < 3 ? "generic" : "grouped");
  return worker;
}

v1::DescribeJobResponse Job(int contributors) {
  v1::DescribeJobResponse response;
  for (int i = 0; i < contributors; ++i) {
    response.add_contributors()->set_contributor(i);
    *response.mutable_contributors(i)->mutable_worker() = Worker();
  }
  return response;
}

TEST(WorkerViewTest, LayersOfOnePathAreOne) {
  EXPECT_EQ(RoutingText(Worker()), "58 layers: grouped; 3 layers: generic");
  v1::WorkerInfo one;
  EXPECT_EQ(RoutingText(one), "");
  one.add_routing_paths("cpu");
  EXPECT_EQ(RoutingText(one), "1 layer: cpu");
}

TEST(WorkerViewTest, WhatAllShareIsSaidOnce) {
  EXPECT_EQ(ShowWorkers(Job(64)),
            "  workers                                                    contributors\n"
            "  device              NVIDIA H200                            all that told\n"
            "  compute_capability  9.0                                    all that told\n"
            "  device_memory       141.0 GiB                              all that told\n"
            "  library_version     0.4.0                                  all that told\n"
            "  routing_paths       58 layers: grouped; 3 layers: generic  all that told\n");
}

TEST(WorkerViewTest, WhatNobodyTellsIsNotShown) {
  v1::DescribeJobResponse response;
  EXPECT_EQ(ShowWorkers(response), "");
  response.add_contributors();
  EXPECT_EQ(ShowWorkers(response), "");
  response.mutable_contributors(0)->mutable_worker()->set_hostname("node-a");
  EXPECT_EQ(ShowWorkers(response), "");
}

TEST(WorkerViewTest, AMixNamesWhoDiffersFromMost) {
  v1::DescribeJobResponse response = Job(6);
  response.mutable_contributors(5)->mutable_worker()->set_library_version("0.3.0");
  response.mutable_contributors(2)->mutable_worker()->set_library_version("");
  response.mutable_contributors(3)->mutable_worker()->set_library_version("");
  // Has told nothing at all, which is no version.
  response.add_contributors()->set_contributor(6);
  response.add_contributors()->mutable_worker();
  for (const WorkerTrait& trait : WorkerTraits(response)) {
    EXPECT_EQ(trait.is_mixed(), trait.name == "library_version") << trait.name;
    if (!trait.is_mixed()) continue;
    EXPECT_EQ(MixText(trait),
              "library_version is mixed: 0.4.0 (3 of them), not told (contributors 2-3), 0.3.0 "
              "(contributors 5)");
  }
  EXPECT_THAT(ShowWorkers(response), testing::HasSubstr("  library_version     0.4.0                                  "
                                                        "0-1,4\n"
                                                        "  library_version     not told                               "
                                                        "2-3\n"));
}

}  // namespace
}  // namespace evenkeel::tools
