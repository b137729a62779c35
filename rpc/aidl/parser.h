// Text to tree: a recursive-descent parser over the grammar of AOSP's AIDL, which goes on behind an error where the next member or
// declaration begins. Nesting is bounded by kMaxNesting (types in types) and kMaxExpressionNesting.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/lexer.h"

namespace adyton::aidl {

inline constexpr unsigned kMaxExpressionNesting = 200;

class Parser {
 public:
  // As much of the document as could be understood; whether all of it could, `diagnostics` tells. Types are unresolved, values unknown.
  static std::unique_ptr<Document> parse(const SourceFile& file, Diagnostics& diagnostics);

 private:
  Parser(const SourceFile& file, Diagnostics& diagnostics);

  // What stands in front of a member or declaration.
  struct Preface {
    Annotations annotations;
    Comment comment;
  };

  // parser.cc: documents, declarations, members
  void parse_package();
  void parse_import();
  void parse_declarations();
  std::unique_ptr<Declaration> parse_declaration(Preface preface, Declaration* parent, unsigned depth);
  std::unique_ptr<Declaration> parse_interface(Declaration* parent, unsigned depth);
  std::unique_ptr<Declaration> parse_parcelable(Declaration* parent, unsigned depth);
  std::unique_ptr<Declaration> parse_union(Declaration* parent, unsigned depth);
  std::unique_ptr<Declaration> parse_enum(Declaration* parent);
  bool parse_headers(UnstructuredDeclaration& declaration);
  bool parse_name(Declaration& declaration);
  bool parse_type_parameters(Declaration& declaration);
  void parse_members(Declaration& declaration, std::vector<Constant>& constants, std::vector<Method>* methods, std::vector<Field>* fields,
                     unsigned depth);
  std::optional<Constant> parse_constant(Preface preface);
  std::optional<Method> parse_method(Preface preface, bool oneway, Type result, const Token& name);
  std::optional<Argument> parse_argument();
  std::optional<Enumerator> parse_enumerator();
  bool parse_method_or_field(Preface preface, std::vector<Method>* methods, std::vector<Field>* fields);
  Preface parse_preface();
  [[nodiscard]] bool at_declaration() const;

  // parser_expression.cc: annotations, types, expressions
  Annotations parse_annotations();
  bool parse_annotation_parameter(Annotation& annotation);
  std::optional<Type> parse_type(Annotations annotations, unsigned depth = 0);
  bool parse_type_arguments(Type& type, unsigned depth);
  bool parse_dimensions(Type& type);
  std::optional<Expression> parse_expression();
  std::optional<uint32_t> parse_binary(Expression& expression, int minimum_precedence, unsigned depth);
  std::optional<uint32_t> parse_operand(Expression& expression, unsigned depth);
  std::optional<uint32_t> parse_array(Expression& expression, unsigned depth);
  std::string_view binary_operator();
  static uint32_t add_node(Expression& expression, Expression::Kind kind, std::string_view text, std::vector<uint32_t> operands,
                           const Location& location);

  // The token at hand, and the one behind it.
  [[nodiscard]] const Token& peek() const { return token_; }
  [[nodiscard]] const Token& peek_next() const { return next_; }
  Token take();
  bool take_if(std::string_view text);
  // Reports "expected WHAT, found ..." unless the token is `text`, which it takes. True when parsing can go on behind it.
  bool expect(std::string_view text, std::string_view context);
  std::optional<Token> expect_identifier(std::string_view what);
  std::optional<std::pair<std::string, Location>> parse_qualified_name(std::string_view what);
  void error_expected(std::string_view what);
  // Behind the next ';' or '}' that ends what was begun; stops in front of the '}' that ends what is around it.
  void skip_member();

  const SourceFile& file_;
  Diagnostics& diagnostics_;
  Lexer lexer_;
  Token token_;
  Token next_;
  Location last_;  // of the token taken last
  std::unique_ptr<Document> document_;
  std::unordered_set<std::string> imported_;
};

// `text`, quoted and cut so that a message stays readable.
[[nodiscard]] std::string quote(std::string_view text);
// The documentation that `text`, a comment with its marks, is.
[[nodiscard]] Comment make_comment(std::string_view text);

}  // namespace adyton::aidl
