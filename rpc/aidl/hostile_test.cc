// Files that nobody writes by accident: they are refused or taken, in bounded time and space, and never crash the compiler.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "rpc/aidl/dump.h"
#include "rpc/aidl/lexer.h"
#include "rpc/aidl/parser.h"
#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using testing::compile;
using testing::Compiled;
using ::testing::HasSubstr;

std::string repeat(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::string numbered(size_t count, const std::function<std::string(size_t)>& text) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text(i);
  return out;
}

Compiled compile_text(const std::string& text) { return compile({{"P.aidl", text}}); }

// What is said first.
std::string first_error(const Compiled& compiled) {
  for (const Diagnostic& diagnostic : compiled.diagnostics->list()) {
    if (diagnostic.severity == Severity::kError) return diagnostic.message;
  }
  return "none";
}

constexpr size_t kMany = 150'000;

TEST(Hostile, NestingIsBounded) {
  EXPECT_THAT(first_error(compile_text("parcelable P { int a = " + repeat("(", kMany) + "1" + repeat(")", kMany) + "; }")), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text("parcelable P { int a = " + repeat("-", kMany) + "1; }")), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text("parcelable P { int[] a = " + repeat("{", kMany) + "}; }")), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text("parcelable P { " + repeat("List<", kMany) + "String" + repeat(">", kMany) + " a; }")), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text(repeat("parcelable P { ", kMany))), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text("parcelable P { int" + repeat("[1]", kMany) + " a; }")), HasSubstr("dimensions"));
  EXPECT_THAT(first_error(compile_text("@JavaDerive(a=" + repeat("(", kMany))), HasSubstr("nested more than"));
  EXPECT_THAT(first_error(compile_text(repeat("{", kMany))), HasSubstr("expected 'interface'"));
  EXPECT_THAT(first_error(compile_text("parcelable P " + repeat("< ", kMany))), HasSubstr("type parameter"));
}

TEST(Hostile, LongThingsThatAreNotDeepAreFine) {
  const Compiled sum = compile_text("parcelable P { const int A = 0" + repeat(" + 1", kMany) + "; }");
  ASSERT_TRUE(sum.ok) << sum.said();
  EXPECT_EQ(sum.get<ParcelableDeclaration>("P").constants[0].value, Value{static_cast<int32_t>(kMany)});
  const Compiled again = compile_text(dump_declaration(sum.get("P")));
  EXPECT_TRUE(again.ok) << again.said();
  const Compiled array = compile_text("parcelable P { int[] a = {" + repeat("1,", kMany) + "}; }");
  ASSERT_TRUE(array.ok) << array.said();
  EXPECT_EQ(array.get<ParcelableDeclaration>("P").fields[0].default_value.get<std::vector<Value>>()->size(), kMany);
  EXPECT_TRUE(compile_text("parcelable P { int " + std::string(4'000'000, 'a') + "; }").ok);
  EXPECT_TRUE(compile_text("parcelable P { /*" + std::string(10'000'000, '*') + "*/ int a; }").ok);
}

TEST(Hostile, ManyThingsAreFine) {
  const Compiled constants = compile_text("parcelable P {" + numbered(100'000, [](size_t i) {
                                            return "const long C" + std::to_string(i) + " = C" + std::to_string(i + 1) + " + 1;\n";
                                          }) + "const long C100000 = 0; }");
  ASSERT_TRUE(constants.ok) << constants.said();
  EXPECT_EQ(constants.get<ParcelableDeclaration>("P").constants[0].value, Value{int64_t{100'000}});
  const Compiled enumerators = compile({{"E.aidl", "@Backing(type=\"int\") enum E {" + numbered(kMany, [](size_t i) { return "E" + std::to_string(i) + ","; }) + "}"}});
  ASSERT_TRUE(enumerators.ok) << enumerators.said();
  const Compiled chain = compile_text("parcelable P {" + numbered(50'000, [](size_t i) {
                                        return "parcelable P" + std::to_string(i) + " { P" + std::to_string(i + 1) + " a; }\n";
                                      }) + "parcelable P50000 { int a; } }");
  EXPECT_TRUE(chain.ok) << chain.said();
  const Compiled methods = compile({{"IP.aidl", "interface IP {" + numbered(100'000, [](size_t i) { return "void f" + std::to_string(i) + "(int a);"; }) + "}"}});
  EXPECT_TRUE(methods.ok) << methods.said();
}

TEST(Hostile, ManyErrorsAreCounted) {
  const Compiled unknown = compile_text("parcelable P {" + numbered(50'000, [](size_t i) { return "a.b.c.T" + std::to_string(i) + " f" + std::to_string(i) + ";"; }) + "}");
  EXPECT_FALSE(unknown.ok);
  EXPECT_LT(unknown.said().size(), size_t{1} << 20);
  EXPECT_FALSE(compile_text(numbered(50'000, [](size_t i) { return "import a.b.C" + std::to_string(i) + ";"; }) + "parcelable P {}").ok);
  EXPECT_FALSE(compile_text("parcelable P {" + repeat("int a;", 100'000) + "}").ok);
  EXPECT_FALSE(compile_text("parcelable P {" + repeat("=", kMany) + "}").ok);
  EXPECT_FALSE(compile_text(repeat("@Hide ", kMany)).ok);
  EXPECT_FALSE(compile_text("parcelable P { @JavaDerive(" + numbered(kMany, [](size_t i) { return "a" + std::to_string(i) + "=1,"; }) + ") int a; }").ok);
  EXPECT_FALSE(compile_text("parcelable P { a" + repeat(".a", kMany) + " b; }").ok);
  EXPECT_FALSE(compile_text("parcelable P { int a = a" + repeat(".a", kMany) + "; }").ok);
}

TEST(Hostile, SizeIsBounded) {
  EXPECT_THAT(first_error(compile_text(std::string(kMaxFileSize + 1, ' '))), HasSubstr("MiB"));
  EXPECT_THAT(first_error(compile_text("parcelable P {" + repeat("int a;", kMaxTokens / 3) + "}")), HasSubstr("tokens"));
}

TEST(Hostile, SmallFilesDoNotDescribeHugeValues) {
  std::string doubling = "parcelable P { const String S0 = \"0123456789abcdef\";";
  for (int i = 1; i < 60; ++i) doubling += "const String S" + std::to_string(i) + " = S" + std::to_string(i - 1) + " + S" + std::to_string(i - 1) + ";";
  EXPECT_THAT(first_error(compile_text(doubling + "}")), HasSubstr("a string has more than 65536 characters"));
  const Compiled copies = compile_text("parcelable P { const String A = \"" + std::string(60'000, 'x') + "\";" +
                                       numbered(10'000, [](size_t i) { return "const String B" + std::to_string(i) + " = A;"; }) + "}");
  EXPECT_THAT(first_error(copies), HasSubstr("the constants together take more than"));
  const Compiled arrays = compile_text("parcelable P { const int[] A = {" + repeat("1,", 10'000) + "};" +
                                       numbered(10'000, [](size_t i) { return "const int[] B" + std::to_string(i) + " = A;"; }) + "}");
  EXPECT_THAT(first_error(arrays), HasSubstr("the constants together take more than"));
}

TEST(Hostile, BytesOfAnyKindAreText) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    for (const std::string& text : {"parcelable P { int a" + one + "; }", "parcelable P { String s = \"" + one + "\"; char c = '" + one + "'; /*" + one + "*/ }"}) {
      const Compiled compiled = compile_text(text);
      EXPECT_EQ(compiled.ok, compiled.said().empty()) << byte;
    }
  }
  EXPECT_THAT(first_error(compile_text(std::string(kMany, '\0'))), HasSubstr("a byte 0x00 has no place"));
  EXPECT_THAT(first_error(compile_text(repeat("\xff\xfe", kMany))), HasSubstr("beyond ASCII"));
  EXPECT_TRUE(compile_text("\xef\xbb\xbfparcelable P { int a; }\r\n").ok);
  for (const std::string text : {"", "/", "/*", "//", "\"", "'", "@", "0x", "1e", ".", "parcelable", "parcelable P", "parcelable P {", "@A(", "import", "package"}) {
    EXPECT_FALSE(compile_text(text).ok) << text;
  }
}

TEST(Hostile, FilesThatImportEachOtherAreFine) {
  const Compiled compiled = compile({{"a/A.aidl", "package a; import b.B; import a.A; parcelable A { B[] b; }"}, {"b/B.aidl", "package b; import a.A; parcelable B { A[] a; }"}});
  EXPECT_TRUE(compiled.ok) << compiled.said();
}

}  // namespace
}  // namespace adyton::aidl
