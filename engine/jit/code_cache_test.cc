#include "engine/jit/code_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>
#include <string>
#include <vector>

#include "engine/jit/testing/translated_executor.h"

namespace adyton::engine::jit {
namespace {

// Lines of /proc/self/maps; the second word holds the permissions ("rw-p").
std::vector<std::string> mappings(bool (*wanted)(const std::string& permissions)) {
  std::vector<std::string> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string permissions = line.substr(line.find(' ') + 1, 4);
    if (wanted(permissions)) found.push_back(line);
  }
  return found;
}
bool writable_and_executable(const std::string& permissions) { return permissions[1] == 'w' && permissions[2] == 'x'; }
bool shared_and_executable(const std::string& permissions) { return permissions[2] == 'x' && permissions[3] == 's'; }

TEST(CodeCache, BothViewsShowTheSameCode) {
  auto cache = CodeCache::create(1 << 20);
  ASSERT_TRUE(cache) << cache.error().message;
  CodeChunk chunk;
  ASSERT_TRUE((*cache)->take_chunk(chunk));
  const uint8_t code[] = {0xb8, 0x2a, 0, 0, 0, 0xc3};  // mov eax, 42; ret
  std::copy(std::begin(code), std::end(code), chunk.hot);
  const auto function = reinterpret_cast<int (*)()>(reinterpret_cast<uintptr_t>(chunk.hot + (*cache)->exec_delta()));
  EXPECT_EQ(function(), 42);
  chunk.hot[1] = 43;
  EXPECT_EQ(function(), 43);
}

TEST(CodeCache, TheExecutableViewCannotBecomeWritable) {
  auto cache = CodeCache::create(1 << 20);
  ASSERT_TRUE(cache) << cache.error().message;
  uint8_t* executable = (*cache)->thunk_area() + (*cache)->exec_delta();
  EXPECT_NE(::mprotect(executable, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
  EXPECT_NE(::mprotect(executable, 4096, PROT_READ | PROT_WRITE), 0);
}

// After translating, linking and invalidating: no page was ever made writable and executable in one view.
TEST(CodeCache, NoMappingIsWritableAndExecutable) {
  testing::TranslatedExecutor executor;
  interp::testing::MachineState state;
  const std::vector<uint32_t> program(16, 0x91000400);  // add x0, x0, #1
  state.x[0] = 0;
  executor.run(program, state);
  EXPECT_EQ(state.x[0], program.size());
  EXPECT_FALSE(mappings(shared_and_executable).empty()) << "translated code is nowhere";
  EXPECT_THAT(mappings(writable_and_executable), ::testing::IsEmpty());
}

}  // namespace
}  // namespace adyton::engine::jit
