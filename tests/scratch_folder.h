#pragma once

#include <string>

namespace evenkeel::tests {

// Of a program that is no test: a folder that goes with this object, and is what the processes of tests/ take for a
// test's. There they have their folders, and there, beside the working directory, they find the programs. One at a
// time.
class ScratchFolder {
 public:
  // Below `parent`; "": the temporary directory.
  explicit ScratchFolder(const std::string& parent = "");
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

 private:
  std::string path_;
};

}  // namespace evenkeel::tests
