#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "gtest/gtest.h"

// What ptxas says of the kernels: a register that is spilled to memory, row after row, is the end of a fast path.
namespace evenkeel::routing {
namespace {

#if EVENKEEL_HAVE_CUDA
std::string Resources() {
  const std::string path = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                           "/kernels/routing/cuda/cuda_router.resources.txt";
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(KernelResourcesTest, FastPathsDoNotSpill) {
  const std::string resources = Resources();
  for (const int registers : {4, 8, 12, 16}) {
    // The name of a kernel, mangled, and two lines on.
    const std::regex kernel("RouteKernelILi" + std::to_string(registers) +
                            "E.*\\n.*Function properties.*\\n +(\\d+) bytes stack frame, (\\d+) bytes spill stores.*\\n"
                            ".*Used (\\d+) registers");
    std::smatch found;
    ASSERT_TRUE(std::regex_search(resources, found, kernel)) << registers << "\n" << resources;
    EXPECT_EQ(found[2], "0") << registers << " registers of a row";
    std::printf("%d registers of a row: %s registers\n", registers, found[3].str().c_str());
  }
}
#else
TEST(KernelResourcesTest, AreNotThere) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::routing
