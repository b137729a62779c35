#include "rpc/aidl/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/aidl/testing/compile.h"

namespace adyton::aidl {
namespace {

using testing::compile;
using ::testing::ElementsAre;

std::unique_ptr<Document> parse(const SourceFile& file, Diagnostics& diagnostics) { return Parser::parse(file, diagnostics); }

TEST(Parser, KeepsTheShapeOfAFile) {
  const SourceFile file("f",
                        "// licence\npackage com.example;\nimport a.B;\nimport a.B;\n"
                        "/** Doc. @hide */ @Hide oneway interface IFoo { void f(in int[] a, @nullable String b) = 3; const int C = 1; parcelable P { int x = 2; } }");
  Diagnostics diagnostics;
  const auto document = parse(file, diagnostics);
  ASSERT_EQ(diagnostics.to_string(), "");
  EXPECT_EQ(document->package, "com.example");
  EXPECT_EQ(document->comment, "// licence\n");
  ASSERT_EQ(document->imports.size(), 1u);
  EXPECT_EQ(document->imports[0].name, "a.B");
  ASSERT_EQ(document->declarations.size(), 1u);
  const InterfaceDeclaration* interface = document->declarations[0]->as_interface();
  ASSERT_NE(interface, nullptr);
  EXPECT_TRUE(interface->oneway);
  EXPECT_TRUE(interface->comment.hidden);
  EXPECT_TRUE(interface->annotations.has("Hide"));
  EXPECT_EQ(interface->qualified_name(), "com.example.IFoo");
  ASSERT_EQ(interface->methods.size(), 1u);
  const Method& method = interface->methods[0];
  EXPECT_TRUE(method.explicit_id.has_value());
  ASSERT_EQ(method.arguments.size(), 2u);
  EXPECT_TRUE(method.arguments[0].direction_given);
  EXPECT_TRUE(method.arguments[0].type.is_array());
  EXPECT_FALSE(method.arguments[1].direction_given);
  EXPECT_TRUE(method.arguments[1].type.annotations.has("nullable"));
  ASSERT_EQ(interface->constants.size(), 1u);
  ASSERT_EQ(interface->nested.size(), 1u);
  EXPECT_EQ(interface->nested[0]->qualified_name(), "com.example.IFoo.P");
  EXPECT_EQ(interface->nested[0]->parent, interface);
}

TEST(Parser, ShiftsAndTypeArgumentsShareTheirBrackets) {
  const auto compiled = compile({{"P.aidl", "parcelable P { List<List<List<String>>> a; int b = 256 >> 2 >> 1; boolean c = 3 > 2; boolean d = 3 >= 2; }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  const auto& fields = compiled.get<ParcelableDeclaration>("P").fields;
  EXPECT_EQ(fields[0].type.to_string(), "List<List<List<String>>>");
  EXPECT_EQ(fields[1].default_value, Value{int32_t{32}});
  EXPECT_EQ(fields[2].default_value, Value{true});
  EXPECT_EQ(fields[3].default_value, Value{true});
}

TEST(Parser, WordsOfHeadersAreNamesElsewhere) {
  const auto compiled = compile({{"P.aidl", "parcelable P { int cpp_header; int ndk_header = 1; int rust_type; parcelable Q cpp_header \"a b.h\" rust_type \"r::Q\"; }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  EXPECT_EQ(compiled.get<UnstructuredDeclaration>("P.Q").cpp_header, "a b.h");
  EXPECT_EQ(compiled.get<UnstructuredDeclaration>("P.Q").rust_type, "r::Q");
}

TEST(Parser, GoesOnBehindAnError) {
  const SourceFile file("f", "parcelable P { int a = ; int b; oops; int c;\nint d\nint e; parcelable Q { nonsense } int f; }");
  Diagnostics diagnostics;
  const auto document = parse(file, diagnostics);
  EXPECT_EQ(diagnostics.errors(), 4u) << diagnostics.to_string();
  ASSERT_EQ(document->declarations.size(), 1u);
  std::vector<std::string> names;
  for (const Field& field : document->declarations[0]->as_parcelable()->fields) names.push_back(field.name);
  EXPECT_THAT(names, ElementsAre("b", "c", "d", "e", "f"));
}

TEST(Parser, MethodsCountUpFromZeroAndCodesFromOne) {
  const auto compiled = compile({{"IFoo.aidl", "interface IFoo { void a(); void b(); const int N = 1; void c(); }"},
                                 {"IBar.aidl", "interface IBar { void a() = 7; void b() = 16777114; }"}});
  ASSERT_TRUE(compiled.ok) << compiled.said();
  const auto& methods = compiled.get<InterfaceDeclaration>("IFoo").methods;
  EXPECT_EQ(methods[0].code(), 1u);
  EXPECT_EQ(methods[2].code(), 3u);
  EXPECT_EQ(compiled.get<InterfaceDeclaration>("IBar").methods[0].code(), 8u);
  EXPECT_EQ(compiled.get<InterfaceDeclaration>("IBar").methods[1].code(), 16777115u);
}

TEST(Comment, FindsTheNoteOfADeprecation) {
  EXPECT_FALSE(make_comment("").deprecated);
  EXPECT_FALSE(make_comment("// @deprecated in a line comment").deprecated);
  EXPECT_FALSE(make_comment("/** @deprecatedly */").deprecated);
  EXPECT_EQ(make_comment("/** @deprecated */").deprecated, "");
  EXPECT_EQ(make_comment("/** Text.\n * @deprecated use\n *   that\n * @hide */").deprecated, "use that");
  EXPECT_TRUE(make_comment("/** @hide */").hidden);
  EXPECT_FALSE(make_comment("/** @hidden */").hidden);
}

TEST(Lexer, TakesTheCommentThatDocuments) {
  const SourceFile file("f", "/* far */\n/** near */ a // tail\n// one\n// two\nb /* x */ c // other\n\n// mine\nd");
  Diagnostics diagnostics;
  Lexer lexer(file, diagnostics);
  EXPECT_EQ(lexer.next().comment, "/** near */");
  EXPECT_EQ(lexer.next().comment, "// tail\n// one\n// two\n");
  EXPECT_EQ(lexer.next().comment, "/* x */");
  EXPECT_EQ(lexer.next().comment, "// mine\n");
  EXPECT_EQ(lexer.next().kind, TokenKind::kEnd);
  EXPECT_EQ(lexer.next().kind, TokenKind::kEnd);
}

TEST(Lexer, KnowsNumbers) {
  const SourceFile file("f", "1 0x1F 12L 255u8 1.5 .5f 1e3 1E-3f 2f 1.");
  Diagnostics diagnostics;
  Lexer lexer(file, diagnostics);
  std::vector<TokenKind> kinds;
  for (Token token = lexer.next(); token.kind != TokenKind::kEnd; token = lexer.next()) kinds.push_back(token.kind);
  using enum TokenKind;
  EXPECT_THAT(kinds, ElementsAre(kInteger, kInteger, kInteger, kInteger, kFloating, kFloating, kFloating, kFloating, kFloating, kFloating));
  EXPECT_EQ(diagnostics.errors(), 0u);
}

TEST(Resolver, LooksFromTheInsideOut) {
  const auto compiled = compile({
      {"a/b/P.aidl", "package a.b; parcelable P { Q near; parcelable Q { R deep; P outer_array_element; } parcelable R { int a; } U.Tag tag; union U { int x; Tag t; } }"},
      {"a/b/R.aidl", "package a.b; parcelable R { b.P wrong; }"},
  });
  EXPECT_FALSE(compiled.ok);  // a.b.b.P is nobody, and P holds itself
  const auto& p = compiled.get<ParcelableDeclaration>("a.b.P");
  EXPECT_EQ(p.fields[0].type.declaration->qualified_name(), "a.b.P.Q");
  EXPECT_EQ(compiled.get<ParcelableDeclaration>("a.b.P.Q").fields[0].type.declaration->qualified_name(), "a.b.P.R");
  EXPECT_EQ(p.fields[1].type.declaration->qualified_name(), "a.b.P.U.Tag");
  EXPECT_EQ(compiled.get<UnionDeclaration>("a.b.P.U").fields[1].type.declaration->qualified_name(), "a.b.P.U.Tag");
}

TEST(Loader, FindsFilesUnderImportRootsAndBesideInputs) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  const MemoryReader reader({{"src/com/example/IFoo.aidl", "package com.example; import org.lib.Thing; interface IFoo { void f(in Thing a, in Bar b, in org.lib.Other.Inner c); }"},
                             {"src/com/example/Bar.aidl", "package com.example; parcelable Bar { int a; }"},
                             {"lib/org/lib/Thing.aidl", "package org.lib; parcelable Thing { Other[] more; }"},
                             {"lib/org/lib/Other.aidl", "package org.lib; parcelable Other { Thing[] back; parcelable Inner { int a; } }"}});
  ASSERT_TRUE(program.load({"src/com/example/IFoo.aidl"}, reader, {.include_dirs = {"lib"}})) << diagnostics.to_string();
  EXPECT_EQ(program.documents().size(), 4u);
  EXPECT_TRUE(program.documents()[0]->is_input);
  EXPECT_FALSE(program.documents()[1]->is_input);
  EXPECT_THAT(program.dependencies(*program.documents()[0]),
              ElementsAre("lib/org/lib/Other.aidl", "lib/org/lib/Thing.aidl", "src/com/example/Bar.aidl"));
}

TEST(Loader, TheFirstRootWins) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  const MemoryReader reader({{"src/P.aidl", "parcelable P { org.Q q; }"}, {"one/org/Q.aidl", "package org; parcelable Q { int one; }"},
                             {"two/org/Q.aidl", "package org; parcelable Q { int two; }"}});
  ASSERT_TRUE(program.load({"src/P.aidl"}, reader, {.include_dirs = {"one", "two"}})) << diagnostics.to_string();
  EXPECT_EQ(program.find("org.Q")->as_parcelable()->fields[0].name, "one");
}

TEST(Loader, ReportsAFileThatIsNotThere) {
  Diagnostics diagnostics;
  Program program(diagnostics);
  EXPECT_FALSE(program.load({"none.aidl"}, MemoryReader({}), {}));
  EXPECT_EQ(diagnostics.to_string(), "error: cannot read none.aidl: there is no such file\n");
}

}  // namespace
}  // namespace adyton::aidl
