// The service is started when it is needed, once, and what goes wrong is said.
#include "sdk/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "adyton/virtual_machine_manager.h"

namespace adyton::sdk {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    std::string name = (fs::temp_directory_path() / "adyton-launcher.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder = name;
  }
  ~LauncherTest() override {
    ::unsetenv("ADYTON_ADYTOND");
    ::unsetenv("ADYTON_FAKE_WORD");
    ::unsetenv("SECRET_OF_THE_CLIENT");
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  [[nodiscard]] ManagerOptions options() const { return {.runtime_directory = folder / "run"}; }
  void use_program(const std::string& path) const { ::setenv("ADYTON_ADYTOND", path.c_str(), 1); }
  std::string script(const std::string& text) const {
    const fs::path path = folder / "adytond";
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  fs::path folder;
};

TEST_F(LauncherTest, StartsOneServiceForManyPrograms) {
  use_program(ADYTON_FAKE_ADYTOND);
  ::setenv("ADYTON_FAKE_WORD", "word", 1);
  ::setenv("SECRET_OF_THE_CLIENT", "x", 1);
  std::vector<std::shared_ptr<VirtualMachineManager>> managers(8);
  std::vector<std::thread> threads;
  for (auto& manager : managers) {
    threads.emplace_back([&] {
      auto connected = VirtualMachineManager::connect(options());
      EXPECT_TRUE(connected) << connected.error().message;
      if (connected) manager = std::move(*connected);
    });
  }
  for (auto& thread : threads) thread.join();
  std::string version;
  for (const auto& manager : managers) {
    ASSERT_TRUE(manager);
    const auto capabilities = manager->capabilities();
    ASSERT_TRUE(capabilities);
    if (version.empty()) version = capabilities->service_version;
    EXPECT_EQ(capabilities->service_version, version) << "not the same service";
  }
  EXPECT_THAT(version, HasSubstr("word "));
  EXPECT_THAT(version, Not(HasSubstr("leaked")));
}

TEST_F(LauncherTest, TheServiceIsNobodysChild) {
  use_program(ADYTON_FAKE_ADYTOND);
  auto manager = VirtualMachineManager::connect(options());
  ASSERT_TRUE(manager) << manager.error().message;
  const std::string pid = (*manager)->capabilities()->service_version;
  std::ifstream status("/proc/" + pid.substr(pid.rfind(' ') + 1) + "/status");
  std::string line;
  while (std::getline(status, line) && !line.starts_with("PPid:")) {}
  ASSERT_THAT(line, HasSubstr("PPid:"));
  EXPECT_NE(std::stoi(line.substr(5)), ::getpid());
}

TEST_F(LauncherTest, ItsLastWordsAreQuoted) {
  use_program(script("echo 'adytond: the disk is full' >&2; exit 1"));
  const auto failed = VirtualMachineManager::connect(options());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(failed.error().message, HasSubstr("ended before it was ready: adytond: the disk is full"));
}

TEST_F(LauncherTest, OneThatIsNeverReadyIsGivenUp) {
  use_program(script("exec sleep 2"));
  auto impatient = options();
  impatient.start_timeout = std::chrono::milliseconds(50);
  const auto failed = VirtualMachineManager::connect(impatient);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("not ready in time"));
}

TEST_F(LauncherTest, AMissingProgramIsNamed) {
  use_program("/nonexistent/adytond");
  const auto failed = VirtualMachineManager::connect(options());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(failed.error().message, HasSubstr("/nonexistent/adytond"));
}

TEST_F(LauncherTest, TheFolderIsTheEnvironments) {
  ::setenv("ADYTON_RUNTIME_DIR", "/somewhere", 1);
  EXPECT_EQ(runtime_directory({}), "/somewhere");
  EXPECT_EQ(runtime_directory(options()), (folder / "run").string());
  ::setenv("ADYTON_RUNTIME_DIR", "relative", 1);
  ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  EXPECT_EQ(runtime_directory({}), "/run/user/7/adyton");
  ::unsetenv("XDG_RUNTIME_DIR");
  ::unsetenv("ADYTON_RUNTIME_DIR");
  EXPECT_EQ(runtime_directory({}), "/tmp/adyton-" + std::to_string(::geteuid()));
}

TEST(ServiceEnvironment, HasNothingOfTheProgramsOwn) {
  const char* environment[] = {"PATH=/bin", "AWS_SECRET=x", "ADYTON_RUNTIME_DIR=/other", "XDG_CACHE_HOME=/c", "HOME=/h",
                               "HOMER=1",   nullptr};
  const auto kept = service_environment(environment, "/run/here");
  EXPECT_THAT(kept, ::testing::UnorderedElementsAre("PATH=/bin", "ADYTON_RUNTIME_DIR=/run/here", "XDG_CACHE_HOME=/c", "HOME=/h"));
}

}  // namespace
}  // namespace adyton::sdk
