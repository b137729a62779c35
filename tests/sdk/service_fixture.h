// What tests of the library and the commands on a real service, VMM and guest share.
#pragma once
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "adyton/adyton.h"
#include "tests/e2e/adyton.h"

namespace adyton::e2e {

inline constexpr auto kPatience = std::chrono::seconds(120);

// A service of the test's own, which ends soon after its last client.
class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    folder.write("config/adyton/adytond.toml", "idle_exit = 1\n");
    ::mkdir((folder.path() + "/run").c_str(), 0700);
    ::setenv("ADYTON_RUNTIME_DIR", (folder.path() + "/run").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (folder.path() + "/config").c_str(), 1);
    ::setenv("XDG_DATA_HOME", (folder.path() + "/data").c_str(), 1);
  }
  ~ServiceTest() override {
    for (const char* name : {"ADYTON_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) ::unsetenv(name);
  }

  static std::shared_ptr<VirtualMachineManager> connect() {
    auto manager = VirtualMachineManager::connect();
    if (!manager) {
      ADD_FAILURE() << manager.error().message;
      std::abort();
    }
    return std::move(*manager);
  }
  static VirtualMachineConfig config(std::vector<std::string> arguments) {
    auto made = VirtualMachineConfig::Builder()
                    .setPayload(probe())
                    .setArguments(std::move(arguments))
                    .setMemoryBytes(128 << 20)
                    .setIsolation(IsolationLevel::kNone)
                    .setDebugLevel(DebugLevel::kFull)
                    .setVmOutputCaptured(true)
                    .setVmConsoleInputSupported(true)
                    .setVerboseBoot(true)
                    .build();
    return *made;
  }
  struct Told {
    int code = -1;
    std::string output;
    std::string errors;
  };
  static Told tell(std::vector<std::string> arguments) {
    Adyton adyton(std::move(arguments));
    adyton.close_input();
    const int code = adyton.finish();
    return {.code = code, .output = adyton.output(), .errors = adyton.errors()};
  }

  TemporaryFolder folder;
};

}  // namespace adyton::e2e
