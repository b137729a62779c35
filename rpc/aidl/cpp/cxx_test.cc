// What all back ends that write C++ share.
#include <gtest/gtest.h>

#include <limits>

#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"
#include "rpc/aidl/cpp/writer.h"

namespace adyton::aidl {
namespace {

TEST(LiteralsTest, AreCpp) {
  EXPECT_EQ(string_literal("a\"b\\c\n\t\x01"), "\"a\\\"b\\\\c\\n\\t\\001\"");
  EXPECT_EQ(string_literal("\x01"
                           "7"),
            "\"\\0017\"");
  EXPECT_EQ(char16_literal(u'x'), "u'x'");
  EXPECT_EQ(char16_literal(u'\''), "u'\\''");
  EXPECT_EQ(char16_literal(u'\xd800'), "u'\\xd800'");
  EXPECT_EQ(int32_literal(std::numeric_limits<int32_t>::min()), "INT32_MIN");
  EXPECT_EQ(int64_literal(-5), "-5");
  EXPECT_EQ(float_literal(1), "1.0f");
  EXPECT_EQ(float_literal(1e20f), "1e+20f");
  EXPECT_EQ(double_literal(0.1), "0.1");
  EXPECT_EQ(double_literal(-std::numeric_limits<double>::infinity()), "-std::numeric_limits<double>::infinity()");
}

TEST(NamesTest, KeepOutOfTheWay) {
  EXPECT_EQ(escape("delete"), "delete_");
  EXPECT_EQ(escape("errno"), "errno_");
  EXPECT_EQ(escape("deleted"), "deleted");
  EXPECT_EQ(namespace_of("com.linux.std.adyton"), "com::linux_::std_::adyton_");
  EXPECT_EQ(namespace_of("adyton.vm"), "adyton::vm");
  EXPECT_EQ(namespace_of(""), "");
  EXPECT_EQ(base_name("IFoo"), "Foo");
  EXPECT_EQ(base_name("Inner"), "Inner");
  EXPECT_EQ(base_name("I"), "I");
}

TEST(WriterTest, IndentsAndSeparates) {
  Writer writer;
  writer.blank();
  writer.text("a {");
  writer.indent();
  writer.line("b = {};", 1);
  writer.blank();
  writer.blank();
  writer.label("public:");
  writer.text("#pragma x\nc;");
  writer.outdent();
  writer.text("}");
  EXPECT_EQ(writer.str(), "a {\n  b = 1;\n\n public:\n#pragma x\n  c;\n}\n");
}

TEST(WriterTest, BreaksLists) {
  Writer writer;
  writer.list("f(", {"a", "b"}, ");");
  const std::string item(40, 'x');
  writer.list("g(", {item, item, item, item}, ");");
  EXPECT_EQ(writer.str(), "f(a, b);\ng(" + item + ", " + item + ", " + item + ",\n  " + item + ");\n");
  Writer narrow;
  const std::string head(100, 'h');
  narrow.list(head + "(", {item, item}, ");");
  EXPECT_EQ(narrow.str(), head + "(\n    " + item + ", " + item + ");\n");
}

TEST(WriterTest, SetsCommentsStraight) {
  Writer writer;
  writer.indent();
  writer.comment({.text = "/**\n       * One.\n     *\n       * Two.\n */"});
  writer.comment({.text = "// line\n    // another"});
  writer.comment({});
  EXPECT_EQ(writer.str(), "  /**\n   * One.\n   *\n   * Two.\n   */\n  // line\n  // another\n");
}

}  // namespace
}  // namespace adyton::aidl
