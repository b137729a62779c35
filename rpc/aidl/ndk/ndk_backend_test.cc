// Which files the NDK back end writes, and what must stand in them by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "rpc/aidl/backend.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {
namespace {

using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using Files = std::map<std::string, std::string>;

Files output_of(const std::string& name, const std::string& text, BackendOptions options = {.omit_invocation = true}) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  const MemoryReader reader(Files{{"com/example/" + name + ".aidl", "package com.example;\n" + text}});
  if (!program.load({"com/example/" + name + ".aidl"}, reader, {.include_dirs = {"."}, .language = Language::kNdk})) {
    return {{"error", diagnostics.to_string()}};
  }
  const auto files = make_ndk_backend()->generate(*program.documents().front(), options);
  if (!files) return {{"error", files.error().message}};
  Files out;
  for (const OutputFile& each : *files) {
    EXPECT_EQ(each.header, each.path.ends_with(".h"));
    out[each.path] = each.text;
  }
  return out;
}

TEST(NdkBackendTest, WritesAospsFiles) {
  const auto files = output_of("IFoo", "interface IFoo { int add(int a, out int[] b, inout int[] c); }",
                               {.version = 4, .hash = "h", .omit_invocation = true});
  EXPECT_THAT(files, UnorderedElementsAre(Key("aidl/com/example/IFoo.h"), Key("aidl/com/example/BnFoo.h"),
                                          Key("aidl/com/example/BpFoo.h"), Key("com/example/IFoo.cpp")));
  const std::string& header = files.at("aidl/com/example/IFoo.h");
  EXPECT_THAT(header, HasSubstr("namespace aidl::com::example {"));
  EXPECT_THAT(header, HasSubstr("class IFoo : public ::ndk::ICInterface {"));
  EXPECT_THAT(header, HasSubstr("typedef IFooDelegator DefaultDelegator;"));
  EXPECT_THAT(
      header,
      HasSubstr("virtual ::ndk::ScopedAStatus add(int32_t in_a, std::vector<int32_t>* out_b, std::vector<int32_t>* in_c,"));
  EXPECT_THAT(header, HasSubstr("static inline const int32_t version = 4;"));
  EXPECT_THAT(header, HasSubstr("static inline const std::string hash = \"h\";"));
  EXPECT_THAT(header, HasSubstr("static std::shared_ptr<IFoo> fromBinder(const ::ndk::SpAIBinder& binder);"));
  EXPECT_THAT(header, HasSubstr("class IFooDefault : public IFoo {"));
  EXPECT_THAT(files.at("aidl/com/example/BnFoo.h"), HasSubstr("class BnFoo : public ::ndk::BnCInterface<IFoo> {"));
  EXPECT_THAT(files.at("aidl/com/example/BnFoo.h"), HasSubstr("class IFooDelegator : public BnFoo {"));
  EXPECT_THAT(files.at("aidl/com/example/BpFoo.h"), HasSubstr("class BpFoo : public ::ndk::BpCInterface<IFoo> {"));
}

TEST(NdkBackendTest, WritesTheSameFilesForData) {
  const auto files =
      output_of("Foo", "parcelable Foo { @nullable(heap=true) Foo next; ParcelableHolder more; String s = \"x\"; }");
  EXPECT_THAT(files, UnorderedElementsAre(Key("aidl/com/example/Foo.h"), Key("aidl/com/example/BnFoo.h"),
                                          Key("aidl/com/example/BpFoo.h"), Key("com/example/Foo.cpp")));
  EXPECT_THAT(files.at("aidl/com/example/BnFoo.h"), HasSubstr("#error \"com.example.Foo is no interface\""));
  EXPECT_THAT(files.at("aidl/com/example/Foo.h"), HasSubstr("std::unique_ptr<::aidl::com::example::Foo> next;"));
  EXPECT_THAT(files.at("aidl/com/example/Foo.h"), HasSubstr("::ndk::AParcelableHolder more{::ndk::STABILITY_LOCAL};"));
  EXPECT_THAT(files.at("aidl/com/example/Foo.h"), HasSubstr("std::string s = \"x\";"));
}

TEST(NdkBackendTest, SendsOnewayInterfacesOneway) {
  const auto files = output_of("IFoo", "oneway interface IFoo { void f(); }");
  EXPECT_THAT(files.at("com/example/IFoo.cpp"), HasSubstr("_aidl_out.getR(), FLAG_ONEWAY);"));
  EXPECT_THAT(files.at("com/example/IFoo.cpp"), Not(HasSubstr("AParcel_readStatusHeader")));
}

TEST(NdkBackendTest, NestsWhatBelongsToNestedInterfaces) {
  const auto files = output_of("IFoo", "interface IFoo { interface IBar { void f(); } IBar bar(); }");
  const std::string& header = files.at("aidl/com/example/IFoo.h");
  EXPECT_THAT(header, HasSubstr("  class BnBar : public ::ndk::BnCInterface<IBar> {"));
  EXPECT_THAT(header, HasSubstr("  class BpBar : public ::ndk::BpCInterface<IBar> {"));
  EXPECT_THAT(header, HasSubstr("std::shared_ptr<::aidl::com::example::IFoo::IBar>* _aidl_return"));
  EXPECT_THAT(files.at("com/example/IFoo.cpp"), HasSubstr("const char* IFoo::IBar::descriptor = \"com.example.IFoo.IBar\";"));
}

TEST(NdkBackendTest, RefusesWhatItCannotSay) {
  EXPECT_THAT(output_of("IFoo", "interface IFoo { void f(in FileDescriptor fd); }").at("error"), HasSubstr("FileDescriptor"));
}

}  // namespace
}  // namespace adyton::aidl
