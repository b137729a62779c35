#include "tests/system/boot.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/e2e/adyton.h"

namespace adyton::system_test {

void expect_boots(const char* suite, unsigned cpus, int times) {
  ::setenv("ADYTON_DEBIAN_SUITE", suite, 1);
  const e2e::TemporaryFolder folder;
  const std::string log = folder.path() + "/console";
  for (int i = 0; i < times; ++i) {
    const e2e::Finished done = e2e::run(
        {"--smp", std::to_string(cpus), "--timeout", "120", "--console-log", log, e2e::probe(), "exit", std::to_string(i % 100)});
    std::stringstream console;
    console << std::ifstream(log).rdbuf();
    ASSERT_EQ(done.code, i % 100) << "boot " << i << ": " << done.errors << "\nThe guest's console:\n" << console.str();
  }
}

}  // namespace adyton::system_test
