// Against AOSP's own compiler, as Debian has it (package aidl, of Android 10): what both accept means the same to both.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "rpc/aidl/compatibility.h"
#include "rpc/aidl/output.h"
#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using testing::compile;
using testing::Compiled;
using testing::read_folder;

const std::string kAidl = "/usr/bin/aidl";

class OracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kAidl)) GTEST_SKIP() << "needs Debian's aidl (scripts/install-packages test)";
    char name[] = "/tmp/aidlc-oracle-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  // Its exit status, in the folder; what it says is in `said`.
  int aidl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), kAidl);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder_.c_str());
    posix_spawn_file_actions_addopen(&actions, 1, "said", O_CREAT | O_WRONLY | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child = -1;
    const int error = posix_spawn(&child, kAidl.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return -1;
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  void put(const std::map<std::string, std::string>& files) const {
    for (const auto& [path, text] : files) ASSERT_TRUE(write_file(folder_ + "/" + path, text));
  }

  std::string folder_;
};

std::vector<std::string> paths_of(const std::map<std::string, std::string>& files) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : files) paths.push_back(path);
  return paths;
}

TEST_F(OracleTest, DumpsOfBothMeanTheSame) {
  const auto files = read_folder(ADYTON_AIDL_TESTDATA "/android10");
  put(files);
  std::vector<std::string> arguments{"--dumpapi", "--out=api", "-I."};
  for (const std::string& path : paths_of(files)) arguments.push_back(path);
  ASSERT_EQ(aidl(arguments), 0) << read("said");
  const Compiled ours = compile(files);
  ASSERT_TRUE(ours.ok) << ours.said();
  const Compiled theirs = compile(read_folder(folder_ + "/api"));
  ASSERT_TRUE(theirs.ok) << theirs.said();
  Diagnostics diagnostics;
  EXPECT_TRUE(check_compatible(*ours.program, *theirs.program, CompatibilityLevel::kCompatible, diagnostics)) << diagnostics.to_string();
  EXPECT_TRUE(check_compatible(*theirs.program, *ours.program, CompatibilityLevel::kCompatible, diagnostics)) << diagnostics.to_string();
}

TEST_F(OracleTest, TransactionCodesAreTheSame) {
  const auto files = read_folder(ADYTON_AIDL_TESTDATA "/android10");
  put(files);
  const Compiled ours = compile(files);
  ASSERT_TRUE(ours.ok) << ours.said();
  size_t compared = 0;
  for (const auto& document : ours.program->documents()) {
    const InterfaceDeclaration* interface = document->declarations[0]->as_interface();
    if (interface == nullptr) continue;
    ASSERT_EQ(aidl({"--lang=java", "--structured", "-v", "2", "-I.", "-o", "java", document->path()}), 0) << read("said");
    std::map<std::string, uint32_t> codes;
    const std::string java = read("java/" + std::filesystem::path(document->path()).replace_extension(".java").string());
    const std::regex code(R"(TRANSACTION_(\w+) = \(android\.os\.IBinder\.FIRST_CALL_TRANSACTION \+ (\d+)\))");
    for (std::sregex_iterator at(java.begin(), java.end(), code), end; at != end; ++at) {
      codes[(*at)[1]] = kFirstCallTransaction + static_cast<uint32_t>(std::stoul((*at)[2]));
    }
    ASSERT_EQ(codes.size(), interface->methods.size() + 1) << document->path();
    EXPECT_EQ(codes["getInterfaceVersion"], kFirstCallTransaction + kGetInterfaceVersionId);
    for (const Method& method : interface->methods) EXPECT_EQ(codes[method.name], method.code()) << method.name;
    ++compared;
  }
  EXPECT_EQ(compared, 3u);
}

TEST_F(OracleTest, BothRefuseTheSame) {
  for (const std::string& text : std::vector<std::string>{
           "package a; interface IFoo { void f() = 1; void g(); }", "package a; interface IFoo { void f() = 1; void g() = 1; }",
           "package a; interface IFoo { oneway int f(); }", "package a; interface IFoo { oneway void f(out int[] a); }",
           "package a; interface IFoo { void f(int[] a); }", "package a; interface IFoo { void f(out String a); }",
           "package a; interface IFoo { void f(int a); void f(String b); }", "package a; interface IFoo { @nullable int f(); }",
           "package a; interface IFoo { void f(in Nothing n); }", "package a; interface IFoo { @utf8InCpp int f(); }",
           "package a; interface IFoo { int getInterfaceVersion(); }",
           "package a; interface IFoo { const int A = 2147483648; }", "package a; interface IFoo { const String A = 1; }",
           "package a; interface IFoo { void f() }", "package a; interface IFoo { void f(; }", "package a; interface IFoo {", "package a; interface IBar { }"}) {
    put({{"a/IFoo.aidl", text}});
    EXPECT_NE(aidl({"--lang=cpp", "--structured", "-v", "1", "-I.", "-o", "out", "-h", "out", "a/IFoo.aidl"}), 0) << text;
    EXPECT_FALSE(compile({{"a/IFoo.aidl", text}}, {.language = Language::kCpp, .structured = true}).ok) << text;
  }
}

}  // namespace
}  // namespace adyton::aidl
