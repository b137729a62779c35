#include "rpc/aidl/dump.h"

#include <gtest/gtest.h>

#include "rpc/aidl/compatibility.h"
#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using testing::compile;
using testing::Compiled;

std::map<std::string, std::string> dump(const Compiled& compiled) {
  std::map<std::string, std::string> out;
  for (const auto& document : compiled.program->documents()) {
    for (const auto& declaration : document->declarations) out[dump_path(*declaration)] = dump_file(*declaration);
  }
  return out;
}

TEST(Dump, OfADumpIsTheSame) {
  for (const std::string folder : {"corpus", "android10"}) {
    const Compiled first = compile(testing::read_folder(std::filesystem::path(ADYTON_AIDL_TESTDATA) / folder));
    ASSERT_TRUE(first.ok) << first.said();
    const auto once = dump(first);
    const Compiled second = compile(once);
    ASSERT_TRUE(second.ok) << second.said();
    EXPECT_EQ(dump(second), once);
    Diagnostics diagnostics;
    EXPECT_TRUE(check_compatible(*first.program, *second.program, CompatibilityLevel::kEqual, diagnostics)) << diagnostics.to_string();
    EXPECT_TRUE(check_compatible(*second.program, *first.program, CompatibilityLevel::kCompatible, diagnostics)) << diagnostics.to_string();
  }
}

TEST(Dump, KeepsTheMeaningOfExpressionsHoweverDeep) {
  std::string deep = "1";
  for (int i = 0; i < 199; ++i) deep = "1 || 1 && 1 | 1 ^ 1 & 1 == 1 < 1 << 1 + 1 * (" + deep + ")";
  for (const std::string& expression : {std::string("1 - (2 - 3)"), std::string("(1 - 2) - 3"), std::string("-(1 + 2) * ~-3"), std::string("(1 << 2) << (1 << 1)"),
                                        std::string("!(1 == 2) && (1 || 0)"), std::string("1 + (2) * ((3))"), deep}) {
    const Compiled first = compile({{"P.aidl", "parcelable P { const int A = " + expression + "; }"}});
    ASSERT_TRUE(first.ok) << first.said();
    const Compiled second = compile({{"P.aidl", dump_declaration(first.get("P"))}});
    ASSERT_TRUE(second.ok) << second.said();
    EXPECT_EQ(dump_declaration(second.get("P")), dump_declaration(first.get("P")));
    EXPECT_EQ(second.get<ParcelableDeclaration>("P").constants[0].value, first.get<ParcelableDeclaration>("P").constants[0].value);
  }
}

TEST(Dump, IsCanonical) {
  const Compiled compiled = compile({{"a/IFoo.aidl",
                                      "/* licence */\npackage a;\nimport a.P;\n"
                                      "/** Text. @hide */ @JavaDefault @Descriptor(\"x.IFoo\") interface IFoo {\n"
                                      "  const int B = 1 + 2 + 3 * 4; // why\n"
                                      "  parcelable Q<T> { P p; int[N] n = {1, 1 + 1}; const int N = 2; }\n"
                                      "  enum E { A, B = 0x10, C = -1, }\n"
                                      "  /** @deprecated no */ @nullable P f(@nullable in P p, in List<P> l) = B;\n"
                                      "  parcelable Old cpp_header \"old.h\";\n"
                                      "}"},
                                     {"a/P.aidl", "package a; parcelable P { String s = \"*\" + \"/\"; }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  EXPECT_EQ(dump_declaration(compiled.get("a.IFoo")), R"(/* @hide */
@Descriptor(value="x.IFoo") @JavaDefault
interface IFoo {
  /**
   * @deprecated no
   */
  @nullable a.P f(in @nullable a.P p, in List<a.P> l) = 15;
  const int B = (1 + 2 + 3 * 4) /* 15 */;
  parcelable Q<T> {
    a.P p;
    int[N] n = {1, 1 + 1};
    const int N = 2;
  }
  enum E {
    A,
    B = 0x10,
    C = (-1) /* -1 */,
  }
  parcelable Old cpp_header "old.h";
}
)");
  EXPECT_EQ(dump_declaration(compiled.get("a.P")), "parcelable P {\n  String s = (\"*\" + \"/\");\n}\n");
  EXPECT_TRUE(dump_file(compiled.get("a.IFoo")).ends_with("\n/* licence */\npackage a;\n" + dump_declaration(compiled.get("a.IFoo"))));
}

}  // namespace
}  // namespace adyton::aidl
