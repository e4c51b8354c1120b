#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evenkeel/status.h"

namespace text_worker {

// What the command line of text_worker says; kHelp explains each.
struct Flags {
  std::string coordinator = "127.0.0.1:7411";
  std::string job = "quickstart";
  int rank = 0;
  int world_size = 1;
  uint64_t next_step = 1;
  uint64_t steps = 200;
  int layers = 8;
  int experts = 64;
  int top_k = 6;
  int tokens = 2048;
  int hidden = 64;
  int micro_batches = 2;
  uint64_t seed = 1;
  std::vector<std::string> text = {"/usr/share/common-licenses"};
  bool synthetic = false;
  double skew = 1;
  double drift = 0;
  int dead_experts = 0;
  double padding = 0;
  std::string balance;
  // CUDA's number of a GPU, kHost, or kAuto: GPU 0 where there is one.
  static constexpr int kHost = -1;
  static constexpr int kAuto = -2;
  int device = kAuto;
  bool json = false;
  bool help = false;
};

extern const char kHelp[];

// Reads `--name value`, `--name=value` and the switches. INVALID_ARGUMENT, naming flag and value, for what is unknown,
// malformed, out of range, missing, or of no
// effect beside the others.
evenkeel::Result<Flags> ParseFlags(const std::vector<std::string>& arguments);

}  // namespace text_worker
