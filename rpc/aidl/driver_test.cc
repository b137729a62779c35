#include "rpc/aidl/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "rpc/aidl/output.h"
#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Says what it was asked for.
class EchoBackend final : public Backend {
 public:
  std::string_view language() const override { return "cpp"; }
  Result<std::vector<OutputFile>> generate(const Document& document, const BackendOptions& options) const override {
    std::vector<OutputFile> files;
    for (const auto& declaration : document.declarations) {
      if (declaration->name == "Impossible") return fail(ErrorCode::kUnsupported, "Impossible cannot be expressed");
      files.push_back({declaration->name + ".cc", false, "version " + std::to_string(options.version.value_or(0)) + "\n"});
      files.push_back({"include/" + declaration->name + ".h", true, declaration->qualified_name()});
    }
    return files;
  }
};

class DriverTest : public ::testing::Test {
 protected:
  DriverTest() {
    char name[] = "/tmp/aidlc-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    backends_.push_back(std::make_unique<EchoBackend>());
  }
  ~DriverTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void put(const std::string& name, const std::string& text) const { ASSERT_TRUE(write_file(path(name), text)); }
  std::string get(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return file ? std::string(std::istreambuf_iterator<char>(file), {}) : "none";
  }
  // The exit that the program would take; what it says is in `said_`.
  bool run_with(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "aidlc");
    const auto command = parse_command_line(arguments);
    if (!command) {
      said_ = command.error().message;
      return false;
    }
    said_.clear();
    const auto ok = run(*command, backends_, said_);
    if (!ok) said_ += ok.error().message;
    return ok && *ok;
  }

  std::string folder_;
  std::string said_;
  std::vector<std::unique_ptr<Backend>> backends_;
};

TEST_F(DriverTest, WritesOutputsAndTheirDependencies) {
  put("src/com/example/IFoo.aidl", "package com.example; interface IFoo { void f(in Bar b); }");
  put("src/com/example/Bar.aidl", "package com.example; parcelable Bar { int a; }");
  ASSERT_TRUE(run_with({"--lang=cpp", "-v", "4", "-o", path("out"), "-h", path("inc"), "-d", path("foo.d"), path("src/com/example/IFoo.aidl")})) << said_;
  EXPECT_EQ(get("out/IFoo.cc"), "version 4\n");
  EXPECT_EQ(get("inc/include/IFoo.h"), "com.example.IFoo");
  const std::string foo = path("src/com/example/IFoo.aidl");
  const std::string bar = path("src/com/example/Bar.aidl");
  EXPECT_EQ(get("foo.d"), path("inc/include/IFoo.h") + " \\\n  " + path("out/IFoo.cc") + ": \\\n  " + foo + " \\\n  " + bar + "\n\n" + foo + ":\n\n" + bar + ":\n");
  ASSERT_TRUE(run_with({"--lang=cpp", "-o", path("out"), "-a", "--ninja", foo, bar})) << said_;
  EXPECT_EQ(get("out/com/example/IFoo.d"), path("out/IFoo.cc") + ": \\\n  " + foo + " \\\n  " + bar + "\n");
  EXPECT_EQ(get("out/com/example/Bar.d"), path("out/Bar.cc") + ": \\\n  " + bar + "\n");
}

TEST_F(DriverTest, WritesNothingWhenAnythingIsWrong) {
  put("Good.aidl", "parcelable Good { int a; }");
  put("Bad.aidl", "parcelable Bad { Nowhere a; }");
  put("Impossible.aidl", "parcelable Impossible { int a; }");
  EXPECT_FALSE(run_with({"--lang=cpp", "-o", path("out"), path("Good.aidl"), path("Bad.aidl")}));
  EXPECT_THAT(said_, HasSubstr("Bad.aidl:1:18: error: 'Nowhere' is not the name of a type"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_FALSE(run_with({"--lang=cpp", "-o", path("out"), path("Good.aidl"), path("Impossible.aidl")}));
  EXPECT_EQ(said_, "Impossible cannot be expressed");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_FALSE(run_with({"--lang=ndk", "-o", path("out"), path("Good.aidl")}));
  EXPECT_EQ(said_, "this aidlc was built without --lang=ndk");
}

TEST_F(DriverTest, DumpsAndChecksFolders) {
  put("v1/com/example/IFoo.aidl", "package com.example; interface IFoo { void f(in Bar b); }");
  put("v1/com/example/Bar.aidl", "package com.example; parcelable Bar { int a; }");
  ASSERT_TRUE(run_with({"--dumpapi", "-o", path("api"), path("v1/com/example/IFoo.aidl"), path("v1/com/example/Bar.aidl")})) << said_;
  EXPECT_THAT(get("api/com/example/IFoo.aidl"), HasSubstr("void f(in com.example.Bar b);"));
  EXPECT_TRUE(run_with({"--checkapi=equal", path("v1"), path("api")})) << said_;
  put("api/com/example/Bar.aidl", "package com.example; parcelable Bar { int a; int b; }");
  EXPECT_TRUE(run_with({"--checkapi", path("v1"), path("api")})) << said_;
  EXPECT_FALSE(run_with({"--checkapi=equal", path("v1"), path("api")}));
  EXPECT_THAT(said_, HasSubstr("it had '}' where it now has 'int b;'"));
  EXPECT_FALSE(run_with({"--checkapi", path("api"), path("v1")}));
  EXPECT_THAT(said_, HasSubstr("had 2 fields and now has 1"));
  EXPECT_FALSE(run_with({"--checkapi", path("nowhere"), path("v1")}));
  EXPECT_THAT(said_, HasSubstr("cannot read"));
  std::filesystem::create_directory(path("empty"));
  EXPECT_FALSE(run_with({"--checkapi", path("v1"), path("empty")}));
  EXPECT_THAT(said_, HasSubstr("there is no .aidl file in"));
}

TEST_F(DriverTest, MapsMethodCodesToNames) {
  put("IFoo.aidl", "@Descriptor(value=\"old.IFoo\") interface IFoo { void f(); void g(); interface IEmpty {} }");
  ASSERT_TRUE(run_with({"--methodmap", path("map.json"), "-v", "1", "--hash", "x", path("IFoo.aidl")})) << said_;
  EXPECT_EQ(get("map.json"),
            "{\n  \"IFoo.IEmpty\": {\n    \"16777214\": \"getInterfaceHash\",\n    \"16777215\": \"getInterfaceVersion\"\n  },\n"
            "  \"old.IFoo\": {\n    \"1\": \"f\",\n    \"2\": \"g\",\n    \"16777214\": \"getInterfaceHash\",\n    \"16777215\": \"getInterfaceVersion\"\n  }\n}\n");
}

TEST_F(DriverTest, MapsInterfacesWithTheirTypes) {
  put("com/example/Point.aidl", "package com.example; parcelable Point { int x; @nullable String[] names; @Backing(type=\"int\") enum Kind { A = 1, B = 3, C = 3 } Kind kind; union U { int i = 1; @nullable String p; } }");
  put("com/example/IFoo.aidl", "package com.example; import com.example.Point; @Descriptor(value=\"old.IFoo\") interface IFoo { long add(long a, out int[] b); oneway void tell(in List<String> s, in Point p); }");
  ASSERT_TRUE(run_with({"--interfacemap", path("map.json"), "-I", path("."), path("com/example/IFoo.aidl")})) << said_;
  EXPECT_EQ(get("map.json"), R"({"interfaces": {
"old.IFoo": {"name": "com.example.IFoo", "methods": {
"1": {"name": "add", "oneway": false, "result": "long", "arguments": [{"name": "a", "direction": "in", "type": "long"}, {"name": "b", "direction": "out", "type": "int[]"}]},
"2": {"name": "tell", "oneway": true, "result": "void", "arguments": [{"name": "s", "direction": "in", "type": "List<String>"}, {"name": "p", "direction": "in", "type": "com.example.Point"}]}}}},
"types": {
"com.example.IFoo": {"kind": "interface"},
"com.example.Point": {"kind": "parcelable", "fields": [{"name": "x", "type": "int"}, {"name": "names", "type": "String[]"}, {"name": "kind", "type": "com.example.Point.Kind"}]},
"com.example.Point.Kind": {"kind": "enum", "backing": "int", "values": {"1": "A", "3": "B"}},
"com.example.Point.U": {"kind": "union", "fields": [{"name": "i", "type": "int"}, {"name": "p", "type": "String"}]},
"com.example.Point.U.Tag": {"kind": "enum", "backing": "int", "values": {"0": "i", "1": "p"}}}}
)");
}

TEST_F(DriverTest, MapsMethodsToTheirLines) {
  put("a/IFoo.aidl", "package a;\n\ninterface IFoo {\n  void doFoo(int bar, String baz);\n  interface IInner {\n    int[] x(in List<IInner> l);\n  }\n}\n");
  ASSERT_TRUE(run_with({"--apimapping", path("map.txt"), path("a/IFoo.aidl")})) << said_;
  EXPECT_EQ(get("map.txt"), "a.IFoo|doFoo|int,String,|void\n" + path("a/IFoo.aidl") + ":4\na.IFoo.IInner|x|List<a.IFoo.IInner>,|int[]\n" +
                                path("a/IFoo.aidl") + ":6\n");
}

TEST_F(DriverTest, RefusesWhatIsOnlyNamedIfAsked) {
  put("a/Foo.aidl", "package a;\nparcelable Foo cpp_header \"foo.h\";\n");
  EXPECT_TRUE(run_with({"--lang=cpp", "-o", path("out"), path("a/Foo.aidl")})) << said_;
  EXPECT_FALSE(run_with({"--lang=cpp", "-b", "-o", path("out"), path("a/Foo.aidl")}));
  EXPECT_THAT(said_, HasSubstr("a/Foo.aidl:2:12: error: parcelable 'Foo' has no body"));
}

TEST_F(DriverTest, MapsNothingToNothing) {
  const auto compiled = testing::compile({{"P.aidl", "parcelable P { int a; }"}, {"IFoo.aidl", "interface IFoo {}"}});
  EXPECT_EQ(method_map({compiled.program->documents()[1].get()}, {}), "{}\n");
  EXPECT_EQ(method_map({compiled.program->documents()[0].get()}, {}), "{\n  \"IFoo\": {}\n}\n");
}

TEST_F(DriverTest, LeavesAnEqualFileAlone) {
  put("file", "text");
  const auto before = std::filesystem::last_write_time(path("file")) - std::chrono::hours(1);
  std::filesystem::last_write_time(path("file"), before);
  put("file", "text");
  EXPECT_EQ(std::filesystem::last_write_time(path("file")), before);
  put("file", "texx");
  EXPECT_NE(std::filesystem::last_write_time(path("file")), before);
  EXPECT_EQ(get("file"), "texx");
}

TEST_F(DriverTest, WritesThroughALinkAndNotIntoAFolder) {
  put("target", "old");
  std::filesystem::create_symlink("target", path("link"));
  put("link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(get("target"), "new");
  std::filesystem::create_directory(path("folder"));
  EXPECT_FALSE(write_file(path("folder"), "text"));
  EXPECT_FALSE(write_file(path("target/below"), "text"));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("folder", "link", "target"));
}

TEST_F(DriverTest, ReadsNoFolderAndNoEndlessFile) {
  EXPECT_FALSE(run_with({"--lang=cpp", "-o", path("out"), folder_}));
  EXPECT_THAT(said_, HasSubstr("it is a directory"));
  EXPECT_FALSE(run_with({"--lang=cpp", "-o", path("out"), "/dev/zero"}));
  EXPECT_THAT(said_, HasSubstr("the file has more than 16 MiB"));
}

TEST(DependencyRules, EscapeWhatMakeWouldRead) {
  EXPECT_EQ(dependency_rules({"a b"}, {"c$d", "e#f"}, true), "a\\ b: \\\n  c$$d \\\n  e\\#f\n");
  EXPECT_EQ(dependency_rules({}, {"x"}, false), "");
}

}  // namespace
}  // namespace adyton::aidl
