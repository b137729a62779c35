// Runs a fuzz entry function without libFuzzer: over random inputs, or over files.
//   fuzz_NAME [--runs N] [--seed S]
//   fuzz_NAME FILE...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  uint64_t runs = 1000;
  uint64_t seed = std::random_device()();
  bool files = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--runs" && i + 1 < argc) {
      runs = std::strtoull(argv[++i], nullptr, 0);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 0);
    } else {
      std::ifstream file(argv[i], std::ios::binary);
      const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      files = true;
    }
  }
  if (files) return 0;
  // A crash leaves this line as the last one: it is how to run the same inputs again.
  std::printf("--runs %llu --seed %llu\n", static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::mt19937_64 random(seed);
  std::vector<uint8_t> input;
  for (uint64_t run = 0; run < runs; ++run) {
    // Mostly short, some long; half of them with many small values, which name things that exist.
    input.resize(random() % 8 ? random() % 256 : random() % 4096);
    const bool small = random() % 2;
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(small && random() % 4 ? random() % 8 : random());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
