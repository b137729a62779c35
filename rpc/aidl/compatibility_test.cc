#include "rpc/aidl/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using testing::compile;

struct Change {
  std::string older;
  std::string newer;
  std::string error;  // part of the first message; "" when the change is compatible
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.older << " -> " << change.newer; }

class CompatibilityTest : public ::testing::TestWithParam<Change> {};

TEST_P(CompatibilityTest, IsToldApart) {
  const auto& [before, after, error] = GetParam();
  const auto older = compile({{"A.aidl", before}, {"IX.aidl", "interface IX {}"}});
  const auto newer = compile({{"A.aidl", after}, {"IX.aidl", "interface IX {}"}});
  ASSERT_TRUE(older.ok) << older.said();
  ASSERT_TRUE(newer.ok) << newer.said();
  Diagnostics diagnostics;
  EXPECT_EQ(check_compatible(*older.program, *newer.program, CompatibilityLevel::kCompatible, diagnostics), error.empty()) << diagnostics.to_string();
  if (!error.empty()) {
    ASSERT_FALSE(diagnostics.list().empty());
    EXPECT_THAT(diagnostics.list()[0].message, ::testing::HasSubstr(error));
  }
  // Whatever has changed, it is not equal; and nothing is incompatible with itself.
  Diagnostics equal;
  EXPECT_EQ(check_compatible(*older.program, *newer.program, CompatibilityLevel::kEqual, equal), before == after);
  EXPECT_TRUE(check_compatible(*newer.program, *newer.program, CompatibilityLevel::kEqual, diagnostics));
}

INSTANTIATE_TEST_SUITE_P(
    Interfaces, CompatibilityTest,
    ::testing::ValuesIn(std::vector<Change>{
        {"interface A { void f(); }", "interface A { void f(); }", ""},
        {"interface A { void f(); }", "interface A { void f(); void g(); }", ""},
        {"interface A { void f(); }", "interface A { void g(); void f(); }", "the id of method 'f' changed from 0 to 1"},
        {"interface A { void f(); void g(); }", "interface A { void f(); }", "method 'g' was removed from 'A'"},
        {"interface A { void f(int a); }", "interface A { void f(int b); }", ""},
        {"interface A { void f(int a); }", "interface A { void f(long a); }", "the type of argument 'a' of 'f' changed from 'int' to 'long'"},
        {"interface A { void f(int a); }", "interface A { void f(int a, int b); }", "method 'f' had 1 arguments and now has 2"},
        {"interface A { void f(in int[] a); }", "interface A { void f(inout int[] a); }", "argument 'a' of 'f' was in and is now inout"},
        {"interface A { void f(in int[2] a); }", "interface A { void f(in int[3] a); }", "the type of argument 'a' of 'f' changed"},
        {"interface A { const int N = 2; void f(in int[N] a); }", "interface A { const int N = 3; void f(in int[N] a); }", "the size of argument 'a' of 'f' changed"},
        {"interface A { void f(); }", "interface A { oneway void f(); }", "method 'f' was not oneway and is now oneway"},
        {"interface A { oneway void f(); }", "oneway interface A { void f(); }", ""},
        {"interface A { int f(); }", "interface A { String f(); }", "the type of the result of 'f' changed"},
        {"interface A { String f(); }", "interface A { @nullable String f(); }", ""},
        {"interface A { String f(); }", "interface A { @utf8InCpp String f(); }", "the annotations of the result of 'f' changed from none to @utf8InCpp"},
        {"interface A { void f() = 1; }", "interface A { void f() = 2; }", "the id of method 'f' changed from 1 to 2"},
        {"interface A { void f(); }", "interface A { void f() = 0; }", ""},
        {"interface A { const int X = 1; }", "interface A { const int X = 2 - 1; const int Y = 2; }", ""},
        {"interface A { const int X = 1; }", "interface A { const int X = 2; }", "the value of constant 'X' changed from 1 to 2"},
        {"interface A { const int X = 1; }", "interface A { const long X = 1; }", "the type of constant 'X' changed"},
        {"interface A { const int X = 1; }", "interface A { }", "constant 'X' was removed from 'A'"},
        {"interface A { }", "@Descriptor(value=\"B\") interface A { }", "the annotations of 'A' changed from none to @Descriptor(value=\"B\")"},
        {"@Descriptor(value=\"A\") interface A { }", "@Descriptor(value=\"B\") interface A { }", "the annotations of 'A' changed"},
        {"interface A { }", "@JavaDefault interface A { }", ""},
        {"interface A { }", "parcelable A { }", "'A' was an interface and is now a parcelable with fields"},
        {"interface A { parcelable P { int a; } }", "interface A { }", "parcelable 'A.P' was removed"},
        {"interface A { }", "interface A { parcelable P { int a; } }", ""},
        {"interface A { parcelable P { int a; } }", "interface A { parcelable P { int b; String c = \"\"; } }", ""},
        {"interface A { parcelable P { int a; } }", "interface A { parcelable P { long a; } }", "the type of field 'a' changed"}}));

INSTANTIATE_TEST_SUITE_P(
    Data, CompatibilityTest,
    ::testing::ValuesIn(std::vector<Change>{
        {"parcelable A { int a; }", "parcelable A { int a; int b; }", ""},
        {"parcelable A { int a; }", "parcelable A { }", "parcelable 'A' had 1 fields and now has 0"},
        {"parcelable A { int a; }", "parcelable A { int renamed; }", ""},
        {"parcelable A { int a; int b; }", "parcelable A { int b; int a; }", "field 'b' moved from place 1 to 0"},
        {"parcelable A { int a; }", "parcelable A { int a = 0; }", ""},
        {"parcelable A { int a; float b; boolean c; }", "parcelable A { int a = 0; float b = 0f; boolean c = false; }", ""},
        {"parcelable A { int a; }", "parcelable A { int a = 1; }", "the default of field 'a' changed from none to 1"},
        {"parcelable A { String a = \"x\"; }", "parcelable A { String a; }", "the default of field 'a' changed from \"x\" to none"},
        {"parcelable A { }", "parcelable A { String a; }", "new field 'a' of type 'String' has no useful default"},
        {"parcelable A { }", "parcelable A { @nullable String a; String b = \"\"; int[] c; List<String> d; E e; P f; ParcelableHolder g; enum E { X } parcelable P { String s; } }", ""},
        {"parcelable A { }", "parcelable A { E e; enum E { X = 1 } }", "new field 'e'"},
        {"parcelable A { }", "parcelable A { IX i; }", "new field 'i'"},
        {"parcelable A { }", "parcelable A { IBinder i; }", "new field 'i'"},
        {"@FixedSize parcelable A { int a; }", "@FixedSize parcelable A { int a; int b; }", "'A' is @FixedSize: it cannot have further fields"},
        {"@FixedSize parcelable A { int a; }", "parcelable A { int a; }", "the annotations of 'A' changed from @FixedSize to none"},
        {"parcelable A<T> { }", "parcelable A { }", "'A' had 1 type parameters and now has 0"},
        {"parcelable A;", "parcelable A { int a; }", "'A' was a parcelable without fields and is now a parcelable with fields"},
        {"parcelable A cpp_header \"a.h\";", "parcelable A cpp_header \"b.h\";", ""},
        {"union A { int a; }", "union A { int a; String b; IBinder c; }", ""},
        {"union A { int a; String b; }", "union A { int a; }", "union 'A' had 2 fields and now has 1"},
        {"union A { int a; }", "parcelable A { int a; }", "'A' was a union and is now a parcelable"},
        {"union A { int a = 1; int b; }", "union A { int a = 2; int b; }", "the default of field 'a' changed from 1 to 2"},
        {"enum A { X }", "enum A { X, Y }", ""},
        {"enum A { X, Y }", "enum A { X }", "enumerator 'Y' was removed from 'A'"},
        {"enum A { X, Y }", "enum A { Y, X }", "the value of enumerator 'X' changed from 0 to 1"},
        {"enum A { X, Y }", "enum A { Y = 1, X = 0 }", ""},
        {"enum A { X }", "@Backing(type=\"int\") enum A { X }", "the annotations of 'A' changed from none to @Backing(type=\"int\")"},
        {"@Backing(type=\"byte\") enum A { X }", "@Backing(type=\"int\") enum A { X }", "the annotations of 'A' changed"}}));

TEST(Compatibility, SeesRemovedAndAddedFiles) {
  const auto older = compile({{"A.aidl", "parcelable A { int a; }"}, {"B.aidl", "parcelable B { int a; }"}});
  const auto newer = compile({{"A.aidl", "parcelable A { int a; }"}, {"C.aidl", "parcelable C { int a; }"}});
  Diagnostics diagnostics;
  EXPECT_FALSE(check_compatible(*older.program, *newer.program, CompatibilityLevel::kEqual, diagnostics));
  EXPECT_EQ(diagnostics.to_string(),
            "B.aidl:1:12: error: parcelable 'B' was removed\n    parcelable B { int a; }\n               ^\n"
            "C.aidl:1:12: error: parcelable 'C' was added\n    parcelable C { int a; }\n               ^\n");
}

TEST(Compatibility, ShowsWhereBothVersionsAre) {
  const auto older = compile({{"A.aidl", "interface A { void f(int a); }"}});
  const auto newer = compile({{"A.aidl", "interface A {\n  void f(long a); }"}});
  Diagnostics diagnostics;
  EXPECT_FALSE(check_compatible(*older.program, *newer.program, CompatibilityLevel::kCompatible, diagnostics));
  EXPECT_EQ(diagnostics.to_string(),
            "A.aidl:2:10: error: the type of argument 'a' of 'f' changed from 'int' to 'long'\n      void f(long a); }\n             ^~~~\n"
            "A.aidl:1:22: note: the older version is here\n    interface A { void f(int a); }\n                         ^~~\n");
  EXPECT_FALSE(check_compatible(*older.program, *newer.program, CompatibilityLevel::kEqual, diagnostics));
  EXPECT_EQ(diagnostics.list()[2].message, "'A' is not equal: it had 'void f(int a);' where it now has 'void f(long a);'");
}

}  // namespace
}  // namespace adyton::aidl
