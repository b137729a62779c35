// What the back end writes, to the letter.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "rpc/aidl/backend.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {
namespace {

const std::string kTestdata = ADYTON_AIDL_CPP_TESTDATA;

std::string file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

using Files = std::map<std::string, std::string>;

// What `text` as com/example/NAME.aidl becomes, beside `others`; "error" holds what went wrong.
Files output_of(const std::string& name, const std::string& text, Files others = {},
                BackendOptions options = {.omit_invocation = true}) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  others["com/example/" + name + ".aidl"] = "package com.example;\n" + text;
  const MemoryReader reader(others);
  if (!program.load({"com/example/" + name + ".aidl"}, reader,
                    {.include_dirs = {"."}, .language = Language::kCpp, .vintf = options.vintf})) {
    return {{"error", diagnostics.to_string()}};
  }
  const auto files = make_cpp_backend()->generate(*program.documents().front(), options);
  if (!files) return {{"error", files.error().message}};
  Files out;
  for (const OutputFile& each : *files) out[each.path] = each.text;
  return out;
}

void expect_contains(const std::string& text, const std::string& what) {
  EXPECT_NE(text.find(what), std::string::npos) << what << "\nin\n" << text;
}

TEST(CppBackendTest, WritesTheGoldenFiles) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  ASSERT_TRUE(program.load({kTestdata + "/com/example/golden/IGuide.aidl"}, DiskReader(),
                           {.include_dirs = {kTestdata}, .language = Language::kCpp}))
      << diagnostics.to_string();
  const auto files =
      make_cpp_backend()->generate(*program.documents().front(), {.version = 2, .hash = "notfrozen", .omit_invocation = true});
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->size(), 2u);
  EXPECT_TRUE(files->at(0).header);
  EXPECT_EQ(files->at(0).path, "com/example/golden/IGuide.h");
  EXPECT_EQ(files->at(0).text, file(kTestdata + "/com/example/golden/IGuide.h.golden"));
  EXPECT_FALSE(files->at(1).header);
  EXPECT_EQ(files->at(1).path, "com/example/golden/IGuide.cc");
  EXPECT_EQ(files->at(1).text, file(kTestdata + "/com/example/golden/IGuide.cc.golden"));
}

TEST(CppBackendTest, KeepsOutOfTheWayOfCpp) {
  const auto files = output_of("IFoo",
                               "interface IFoo { const int linux = 1; void errno(int code, int data, int unix); int dump(); void "
                               "local(); void dispatch(); }");
  const std::string& header = files.at("com/example/IFoo.h");
  expect_contains(header, "static constexpr int32_t linux_ = 1;");
  expect_contains(header, "virtual adyton::rpc::Reply<> errno_(int32_t code, int32_t data, int32_t unix_) = 0;");
  expect_contains(header, "Reply<int32_t> dump_() = 0;");
  expect_contains(header, "Reply<> local_() = 0;");
  const std::string& source = files.at("com/example/IFoo.cc");
  expect_contains(source, "ADYTON_RPC_TRY(adyton::rpc::read_all(data, &code_, &data_, &unix_));");
  expect_contains(source, "self.errno_(code_, data_, unix_)");
}

TEST(CppBackendTest, KeepsFieldsApartFromParameters) {
  const auto files = output_of("Foo", "parcelable Foo { int parcel; int other; @nullable(heap=true) Foo to_string; }");
  const std::string& source = files.at("com/example/Foo.cc");
  expect_contains(source, "Foo::write_to(adyton::rpc::Parcel* parcel_) const");
  expect_contains(source, "write_structured(parcel_, parcel, other, to_string_)");
  expect_contains(source, "bool Foo::operator==(const Foo& other_) const {");
}

TEST(CppBackendTest, SaysNamesWholeWhereShortOnesMeanSomethingElse) {
  const auto files = output_of("IFoo", "import com.example.Bar; interface IFoo { void Bar(in Bar bar); void baz(in Bar bar); }",
                               {{"com/example/Bar.aidl", "package com.example; parcelable Bar { int x; }"}});
  const std::string& header = files.at("com/example/IFoo.h");
  expect_contains(header, "Reply<> Bar(const ::com::example::Bar& bar) = 0;");
  expect_contains(header, "#include \"com/example/Bar.h\"");
  // Other packages are always named whole.
  const auto others = output_of("IFoo", "import org.Bar; interface IFoo { void f(in Bar bar); }",
                                {{"org/Bar.aidl", "package org; parcelable Bar { int x; }"}});
  expect_contains(others.at("com/example/IFoo.h"), "Reply<> f(const ::org::Bar& bar) = 0;");
}

TEST(CppBackendTest, DeclaresInterfacesForward) {
  const auto files =
      output_of("IFoo", "import com.example.IBar; import org.IBaz; interface IFoo { void f(IBar bar, IBaz baz); }",
                {{"com/example/IBar.aidl", "package com.example; import com.example.IFoo; interface IBar { IFoo foo(); }"},
                 {"org/IBaz.aidl", "package org; interface IBaz {}"}});
  const std::string& header = files.at("com/example/IFoo.h");
  expect_contains(header, "namespace org {\nclass IBaz;\n}  // namespace org");
  expect_contains(header, "namespace com::example {\n\nclass IBar;\n");
  EXPECT_EQ(header.find("#include \"com/example/IBar.h\""), std::string::npos);
  expect_contains(files.at("com/example/IFoo.cc"), "#include \"com/example/IBar.h\"\n#include \"org/IBaz.h\"");
}

TEST(CppBackendTest, IncludesBehindWhatNeedsUsFirst) {
  // Each holds the other, one of them by way of a vector.
  const Files others{{"com/example/Leaf.aidl", "package com.example; import com.example.Tree; parcelable Leaf { Tree tree; }"}};
  const auto files = output_of("Tree", "import com.example.Leaf; parcelable Tree { Leaf[] leaves; }", others);
  const std::string& header = files.at("com/example/Tree.h");
  expect_contains(header, "struct Leaf;");
  EXPECT_GT(header.find("#include \"com/example/Leaf.h\""), header.find("std::vector<Leaf> leaves;"));
}

TEST(CppBackendTest, OrdersNestedTypesByNeed) {
  const auto files =
      output_of("Foo", "parcelable Foo { parcelable B { A a; } parcelable A { E e; @nullable B[] bs; } enum E { X } B b; }");
  const std::string& header = files.at("com/example/Foo.h");
  EXPECT_LT(header.find("enum class E"), header.find("struct A {"));
  EXPECT_LT(header.find("struct A {"), header.find("struct B {"));
}

TEST(CppBackendTest, ConstructsNestedTypesThatUnionsHoldElsewhere) {
  const auto held = output_of("Foo", "parcelable Foo { parcelable P { int a = 1; } union U { P p; } }");
  expect_contains(held.at("com/example/Foo.h"), "    P();\n");
  expect_contains(held.at("com/example/Foo.cc"), "Foo::P::P() = default;");
  const auto plain = output_of("Foo", "parcelable Foo { parcelable P { int a = 1; } P p; }");
  EXPECT_EQ(plain.at("com/example/Foo.h").find("P();"), std::string::npos);
}

TEST(CppBackendTest, WritesWithoutPackageAndMethods) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  const MemoryReader reader(Files{{"IFoo.aidl", "interface IFoo {}"}});
  ASSERT_TRUE(program.load({"IFoo.aidl"}, reader, {.language = Language::kCpp})) << diagnostics.to_string();
  const auto files = make_cpp_backend()->generate(*program.documents().front(), {.omit_invocation = true});
  ASSERT_TRUE(files);
  EXPECT_EQ(files->at(0).path, "IFoo.h");
  EXPECT_EQ(files->at(0).text.find("namespace"), std::string::npos);
  expect_contains(files->at(1).text, "IFooStub::dispatch(uint32_t, const adyton::rpc::Parcel&, adyton::rpc::Parcel*) {");
}

TEST(CppBackendTest, SaysWhatItIsMadeFrom) {
  const auto plain = output_of("IFoo", "interface IFoo {}", {}, {.invocation = "aidlc --lang=cpp \\\n evil();"});
  EXPECT_TRUE(plain.at("com/example/IFoo.h")
                  .starts_with("// Generated by aidlc from com/example/IFoo.aidl: change that, not this.\n"
                               "// aidlc --lang=cpp    evil();\n#pragma once\n"));
}

// A holder of stable parcelables is told so.
TEST(CppBackendTest, HoldersKnowTheirStability) {
  const std::string text = " parcelable Foo { ParcelableHolder plain; }";
  const auto local = output_of("Foo", text);
  expect_contains(local.at("com/example/Foo.h"), "#include \"rpc/parcelable_holder.h\"");
  expect_contains(local.at("com/example/Foo.h"), "static constexpr std::string_view kDescriptor = \"com.example.Foo\";");
  expect_contains(local.at("com/example/Foo.h"), "  adyton::rpc::ParcelableHolder plain;\n");
  EXPECT_EQ(local.at("com/example/Foo.h").find("kStability"), std::string::npos);
  const auto stable = output_of("Foo", "@VintfStability" + text, {}, {.vintf = true, .omit_invocation = true});
  ASSERT_FALSE(stable.contains("error")) << stable.at("error");
  const std::string kVintf = "adyton::rpc::ParcelableHolder::Stability::kVintf";
  expect_contains(stable.at("com/example/Foo.h"), "static constexpr auto kStability = " + kVintf + ";");
  expect_contains(stable.at("com/example/Foo.h"), "  adyton::rpc::ParcelableHolder plain{" + kVintf + "};\n");
}

TEST(CppBackendTest, WritesTheSameEveryTime) {
  const std::string text = "interface IFoo { parcelable P { int a; String b; } enum E { X, Y } P f(in P[] p, E e); }";
  EXPECT_EQ(output_of("IFoo", text), output_of("IFoo", text));
}

}  // namespace
}  // namespace adyton::aidl
