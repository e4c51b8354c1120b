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
std::string ResourcesOf(const std::string& library) {
  const std::string path = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                           "/kernels/routing/cuda/" + library + ".resources.txt";
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of a kernel's instance for so many registers of a row.
void ExpectNoSpill(const std::string& resources, const std::string& kernel, int registers,
                   const std::string& path = "") {
  // Its name, mangled, and two lines on.
  const std::regex pattern(kernel + "ILi" + std::to_string(registers) + path +
                           "E.*\\n.*Function properties.*\\n +(\\d+) bytes stack frame, (\\d+) bytes spill stores.*\\n"
                           ".*Used (\\d+) registers");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(resources, found, pattern)) << kernel << " " << registers << path << "\n" << resources;
  EXPECT_EQ(found[2], "0") << kernel << ", " << registers << path << " registers of a row";
  std::printf("%s, %d%s registers of a row: %s registers\n", kernel.c_str(), registers, path.c_str(),
              found[3].str().c_str());
}

TEST(KernelResourcesTest, FastPathsDoNotSpill) {
  const std::string resources = ResourcesOf("cuda_router");
  for (const int registers : {4, 8, 12, 16}) {
    for (const int path : {0, 1, 2, 3}) {          // RoutePath
      if (path == 2 && registers == 12) continue;  // whose groups are not pruned
      ExpectNoSpill(resources, "RouteKernel", registers, "ELNS0_9RoutePathE" + std::to_string(path));
    }
  }
}

TEST(KernelResourcesTest, TheWayBackDoesNotSpill) {
  const std::string resources = ResourcesOf("cuda_backward");
  for (const int registers : {0, 4, 8, 12, 16, 32}) ExpectNoSpill(resources, "BackwardKernel", registers);
}
#else
TEST(KernelResourcesTest, AreNotThere) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::routing
