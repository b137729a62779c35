// Constant expressions: what they are worth, by type.
#include "rpc/aidl/evaluator.h"

#include <gtest/gtest.h>

#include "rpc/aidl/dump.h"
#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

struct Constant {
  std::string type;
  std::string expression;
  std::string value;  // "" when it has none
};

void PrintTo(const Constant& constant, std::ostream* out) { *out << constant.type << " " << constant.expression; }

class EvaluatorTest : public ::testing::TestWithParam<Constant> {};

TEST_P(EvaluatorTest, HasItsValue) {
  const auto& [type, expression, value] = GetParam();
  const auto compiled = testing::compile({{"P.aidl", "parcelable P { const " + type + " X = " + expression +
                                                         "; const int ONE = 1; const String TEXT = \"t\"; const byte BYTE = 100;"
                                                         " enum E { ZERO, FIVE = 5, SIX } @Backing(type=\"long\") enum L { BIG = 1L << 40 } union U { int a; int b; } }"}});
  EXPECT_EQ(compiled.ok, !value.empty()) << compiled.said();
  if (!value.empty()) {
    EXPECT_EQ(value_text(compiled.get<ParcelableDeclaration>("P").constants[0].value), value);
  }
}

INSTANTIATE_TEST_SUITE_P(Literals, EvaluatorTest,
                         ::testing::ValuesIn(std::vector<Constant>{
                             {"int", "0", "0"}, {"int", "0x7fffffff", "2147483647"}, {"int", "0x80000000", "-2147483648"}, {"int", "0xFFFFFFFF", "-1"},
                             {"long", "0xffffffff", "-1"}, {"long", "0xffffffffL", "4294967295"}, {"long", "0x100000000", "4294967296"},
                             {"long", "0xffffffffffffffff", "-1"}, {"int", "0x100000000", ""}, {"byte", "0xff", ""}, {"byte", "0xffu8", "-1"}, {"byte", "200u8", "-56"},
                             {"int", "007", "7"}, {"long", "9223372036854775807", "9223372036854775807"}, {"long", "9223372036854775808", ""},
                             {"int", "2147483647", "2147483647"}, {"int", "-2147483648", "-2147483648"}, {"long", "12l", "12"}, {"char", "'''", "'''"},
                             {"char", "' '", "' '"}, {"String", "\"\"", "\"\""}, {"String", "\"a 'b' // c\"", "\"a 'b' // c\""}, {"boolean", "true", "true"},
                             {"boolean", "2", "true"}, {"int", "true", "1"}, {"float", "1.5f", "1.5f"}, {"float", ".25f", "0.25f"}, {"float", "1f", "1.0f"},
                             {"float", "0.1f", "0.1f"}, {"double", "0.1", "0.1"}, {"double", "1e3", "1000.0"}, {"double", "2.5f", "2.5"}, {"double", "-1.", "-1.0"},
                             {"float", "1.5", ""}, {"float", "1e40f", ""}, {"double", "+1.5", "1.5"}, {"double", "--1.5", "1.5"}}));

INSTANTIATE_TEST_SUITE_P(Operators, EvaluatorTest,
                         ::testing::ValuesIn(std::vector<Constant>{
                             {"int", "1 + 2 * 3", "7"}, {"int", "(1 + 2) * 3", "9"}, {"int", "10 - 4 - 3", "3"}, {"int", "-7 / 2", "-3"}, {"int", "-7 % 3", "-1"},
                             {"int", "1 | 2 ^ 3 & 2", "1"}, {"int", "1 << 2 + 1", "8"}, {"boolean", "1 < 2 == true", "true"}, {"boolean", "1 == 1 && 2 != 2", "false"},
                             {"boolean", "false || !false", "true"}, {"int", "!3", "0"}, {"int", "~5", "-6"}, {"int", "- -5", "5"}, {"int", "-(-128)", "128"},
                             {"int", "100 + 100", "200"}, {"byte", "100 + 27", "127"}, {"byte", "100 + 28", ""}, {"int", "2147483647 + 1", ""},
                             {"long", "2147483647 + 1", ""}, {"long", "2147483647 + 1L", "2147483648"}, {"long", "2147483648 + 1", "2147483649"},
                             {"int", "-2147483648 / -1", ""}, {"int", "0x80000000 / -1", ""}, {"int", "0x80000000 % -1", ""}, {"long", "-0x80000000", ""},
                             {"int", "1 << 31", "-2147483648"}, {"int", "1 << 32", ""}, {"long", "1L << 63", "-9223372036854775808"}, {"long", "1 << 32L", "4294967296"},
                             {"int", "3 << 31", ""}, {"int", "8 >> 2", "2"}, {"int", "8 >> -2", "32"}, {"int", "8 << -2", "2"}, {"int", "-8 >> 1", ""}, {"int", "-8 << 1", ""},
                             {"int", "8 >> 32", ""}, {"int", "8 << -32", ""}, {"int", "1 << 0x80000000", ""}, {"int", "1 >> 9223372036854775807", ""},
                             {"int", "true + true", "2"}, {"int", "0 << 31", "0"}, {"int", "0xf0 ^ 0x0f", "255"}, {"int", "5 % 0", ""}, {"int", "~true", ""},
                             {"String", "\"a\" + \"b\" + \"c\"", "\"abc\""}, {"String", "\"a\" + 1", ""}, {"boolean", "\"a\" == \"a\"", ""}, {"int", "'a' + 1", ""},
                             {"double", "1.0 * 2", ""}}));

INSTANTIATE_TEST_SUITE_P(References, EvaluatorTest,
                         ::testing::ValuesIn(std::vector<Constant>{
                             {"int", "ONE + P.ONE", "2"}, {"String", "TEXT + TEXT", "\"tt\""}, {"int", "BYTE + BYTE", "200"}, {"int", "E.SIX", "6"},
                             {"E", "E.SIX", "P.E.SIX"}, {"E", "P.E.FIVE", "P.E.FIVE"}, {"E", "(E.FIVE)", "P.E.FIVE"}, {"E", "E.FIVE + 0", ""}, {"E", "L.BIG", ""}, {"E", "5", ""},
                             {"long", "L.BIG", "1099511627776"}, {"int", "L.BIG", ""}, {"int", "U.Tag.b", "1"}, {"U.Tag", "U.Tag.a", "P.U.Tag.a"}, {"int", "X", ""},
                             {"int", "NONE", ""}, {"int", "E", ""}}));

INSTANTIATE_TEST_SUITE_P(Arrays, EvaluatorTest,
                         ::testing::ValuesIn(std::vector<Constant>{
                             {"int[]", "{}", "{}"}, {"int[]", "{1, 2 + 3,}", "{1, 5}"}, {"byte[]", "{1, 300}", ""}, {"String[]", "{\"a\", TEXT}", "{\"a\", \"t\"}"},
                             {"int[2]", "{1, 2}", "{1, 2}"}, {"int[2]", "{1}", ""}, {"int[ONE + 1]", "{1, 2}", "{1, 2}"}, {"int[2][1]", "{{1}, {2}}", "{{1}, {2}}"},
                             {"int[2][1]", "{1, 2}", ""}, {"E[]", "{E.ZERO, E.FIVE}", "{P.E.ZERO, P.E.FIVE}"}, {"int[]", "{{1}}", ""}, {"boolean[]", "{true, 0}", "{true, false}"},
                             {"int[]", "-{1}", ""}, {"int[]", "{1} + {2}", ""}}));

TEST(Evaluator, ConstantsMayReferForwardAndAcrossFiles) {
  const auto compiled = testing::compile({{"A.aidl", "parcelable A { const int X = B.Y + 1; const int Z = 1; }"}, {"B.aidl", "parcelable B { const int Y = A.Z + 1; int[A.X] f; }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  EXPECT_EQ(compiled.get<ParcelableDeclaration>("A").constants[0].value, Value{int32_t{3}});
  EXPECT_EQ(compiled.get<ParcelableDeclaration>("B").fields[0].type.dimensions[0].size, 3u);
}

TEST(Evaluator, EnumeratorsCountOn) {
  const auto compiled = testing::compile({{"E.aidl", "@Backing(type=\"int\") enum E { A, B, C = 10, D, F = A - 5, G }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  std::vector<int64_t> values;
  for (const Enumerator& enumerator : compiled.get<EnumDeclaration>("E").enumerators) values.push_back(enumerator.value);
  EXPECT_EQ(values, (std::vector<int64_t>{0, 1, 10, 11, -5, -4}));
}

}  // namespace
}  // namespace adyton::aidl
