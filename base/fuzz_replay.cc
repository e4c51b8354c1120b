// Runs a fuzz target as a test, without libFuzzer: on every file that is kept of what it once found or reached, and on
// inputs that follow from a seed: those files, changed here and there, and bytes at random.
//
//   x_fuzzer_test FOLDER RUNS [SEED]     the folder may be missing

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

using Random = std::mt19937_64;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> ReadFolder(const std::string& folder) {
  std::vector<std::string> paths;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

std::string Bytes(size_t count, Random* random) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>((*random)());
  return bytes;
}

// One change: bytes are replaced, inserted, taken out, or come from another input.
void Change(const std::vector<std::string>& inputs, Random* random, std::string* input) {
  const size_t place = (*random)() % (input->size() + 1);
  const size_t count = 1 + (*random)() % 8;
  switch ((*random)() % 4) {
    case 0:
      input->replace(place, count, Bytes(count, random));
      break;
    case 1:
      input->insert(place, Bytes(count, random));
      break;
    case 2:
      input->erase(place, count);
      break;
    default: {
      const std::string& other = inputs[(*random)() % inputs.size()];
      const size_t from = (*random)() % (other.size() + 1);
      *input = input->substr(0, place) + other.substr(from);
    }
  }
}

std::string MakeInput(const std::vector<std::string>& inputs, Random* random) {
  if (inputs.empty() || (*random)() % 4 == 0) return Bytes((*random)() % 1024, random);
  std::string input = inputs[(*random)() % inputs.size()];
  for (size_t changes = (*random)() % 8; changes > 0; --changes) Change(inputs, random, &input);
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FOLDER RUNS [SEED]\n", argv[0]);
    return 2;
  }
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  const std::vector<std::string> inputs = ReadFolder(argv[1]);
  const uint64_t runs = std::strtoull(argv[2], nullptr, 10);
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::random_device()();
  std::printf("%zu kept inputs, then %lu from seed %lu\n", inputs.size(), runs, seed);
  std::fflush(stdout);  // a crash is to leave the seed behind
  for (const std::string& input : inputs) Run(input);
  Random random(seed);
  for (uint64_t run = 0; run < runs; ++run) Run(MakeInput(inputs, &random));
}
