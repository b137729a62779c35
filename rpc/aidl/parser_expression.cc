// Annotations, types and constant expressions: what stands inside members.
#include <fmt/format.h>

#include "rpc/aidl/operators.h"
#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

Location span(const Location& first, const Location& last) { return {first.file, first.offset, last.offset + last.length - first.offset}; }

}  // namespace

Annotations Parser::parse_annotations() {
  Annotations annotations;
  while (peek().kind == TokenKind::kAnnotation) {
    const Token name = take();
    Annotation annotation;
    annotation.name = name.text;
    annotation.location = name.location;
    bool ok = true;
    if (take_if("(")) {
      while (ok && !peek().is(")")) {
        ok = parse_annotation_parameter(annotation);
        if (!ok || !take_if(",")) break;
      }
      ok = ok && expect(")", "behind the annotation's parameters");
      if (ok) {
        annotation.location = span(name.location, last_);
      } else {
        // To where the annotation may have been meant to end.
        while (peek().kind != TokenKind::kEnd && !peek().is(";") && !peek().is("{") && !peek().is("}")) {
          if (take().is(")")) break;
        }
      }
    }
    if (annotations.list.size() < kMaxNesting) {
      annotations.list.push_back(std::move(annotation));
    } else if (annotations.list.size() == kMaxNesting) {
      diagnostics_.error(annotation.location, fmt::format("there are more than {} annotations", kMaxNesting));
      annotations.list.push_back(std::move(annotation));
    }
  }
  return annotations;
}

bool Parser::parse_annotation_parameter(Annotation& annotation) {
  Annotation::Parameter parameter;
  parameter.name = "value";
  parameter.location = peek().location;
  if (peek().kind == TokenKind::kIdentifier && peek_next().is("=")) {
    parameter.name = take().text;
    take();
  }
  auto expression = parse_expression();
  if (!expression) return false;
  parameter.expression = std::move(*expression);
  if (annotation.find(parameter.name) != nullptr) {
    diagnostics_.error(parameter.location, fmt::format("@{} has its parameter {} twice", annotation.name, quote(parameter.name)));
    return true;
  }
  if (annotation.parameters.size() == kMaxNesting) {
    diagnostics_.error(parameter.location, fmt::format("@{} has more than {} parameters", annotation.name, kMaxNesting));
    return false;
  }
  annotation.parameters.push_back(std::move(parameter));
  return true;
}

std::optional<Type> Parser::parse_type(Annotations annotations, unsigned depth) {
  if (depth >= kMaxNesting) {
    diagnostics_.error(peek().location, fmt::format("type arguments are nested more than {} deep", kMaxNesting));
    return std::nullopt;
  }
  auto name = parse_qualified_name("a type");
  if (!name) return std::nullopt;
  Type type;
  type.annotations = std::move(annotations);
  type.name = std::move(name->first);
  type.location = name->second;
  if (peek().is("<") && !parse_type_arguments(type, depth)) return std::nullopt;
  if (!parse_dimensions(type)) return std::nullopt;
  return type;
}

bool Parser::parse_type_arguments(Type& type, unsigned depth) {
  take();
  do {
    Annotations annotations = parse_annotations();
    if (!annotations.list.empty()) {
      diagnostics_.error(annotations.list.front().location, "type arguments have no annotations: annotate the whole type");
    }
    auto argument = parse_type({}, depth + 1);
    if (!argument) return false;
    type.arguments.push_back(std::move(*argument));
  } while (take_if(","));
  return expect(">", "behind the type arguments");
}

bool Parser::parse_dimensions(Type& type) {
  for (;;) {
    if (peek().kind == TokenKind::kAnnotation && peek_next().is("[")) {
      diagnostics_.error(peek().location, "dimensions have no annotations: annotate the whole type");
      take();
    }
    if (!peek().is("[")) return true;
    const Token open = take();
    Type::Dimension dimension;
    if (!peek().is("]")) {
      auto size = parse_expression();
      if (!size) return false;
      dimension.size_expression = std::move(*size);
    }
    if (!expect("]", "behind the array's size")) return false;
    dimension.location = span(open.location, last_);
    if (type.dimensions.size() >= kMaxNesting) {
      diagnostics_.error(dimension.location, fmt::format("an array has more than {} dimensions", kMaxNesting));
      return false;
    }
    type.dimensions.push_back(std::move(dimension));
  }
}

uint32_t Parser::add_node(Expression& expression, Expression::Kind kind, std::string_view text, std::vector<uint32_t> operands,
                          const Location& location) {
  expression.nodes.push_back({.kind = kind, .text = std::string(text), .operands = std::move(operands), .location = location});
  return static_cast<uint32_t>(expression.nodes.size() - 1);
}

std::optional<Expression> Parser::parse_expression() {
  Expression expression;
  const Location first = peek().location;
  if (!parse_binary(expression, 1, 0)) return std::nullopt;
  expression.location = span(first, last_);
  return expression;
}

// "" when the token at hand is none. `>>` comes as two tokens, because List<List<T>> ends in two.
std::string_view Parser::binary_operator() {
  if (peek().kind != TokenKind::kPunctuation) return {};
  if (peek().is(">") && peek_next().is(">") && peek_next().glued) return ">>";
  return precedence_of(peek().text) > 0 ? peek().text : std::string_view();
}

std::optional<uint32_t> Parser::parse_binary(Expression& expression, int minimum_precedence, unsigned depth) {
  const Location first = peek().location;
  auto left = parse_operand(expression, depth);
  if (!left) return std::nullopt;
  for (;;) {
    const std::string_view text = binary_operator();
    if (text.empty() || precedence_of(text) < minimum_precedence) return left;
    if (text == ">>") take();
    take();
    const auto right = parse_binary(expression, precedence_of(text) + 1, depth);
    if (!right) return std::nullopt;
    left = add_node(expression, Expression::Kind::kBinary, text, {*left, *right}, span(first, last_));
  }
}

std::optional<uint32_t> Parser::parse_operand(Expression& expression, unsigned depth) {
  if (depth >= kMaxExpressionNesting) {
    diagnostics_.error(peek().location, fmt::format("an expression is nested more than {} deep", kMaxExpressionNesting));
    return std::nullopt;
  }
  const Token first = peek();
  const auto literal = [&](Expression::Kind kind) {
    take();
    return add_node(expression, kind, first.text, {}, first.location);
  };
  switch (first.kind) {
    case TokenKind::kInteger: return literal(Expression::Kind::kInteger);
    case TokenKind::kFloating: return literal(Expression::Kind::kFloating);
    case TokenKind::kCharacter: return literal(Expression::Kind::kCharacter);
    case TokenKind::kString: return literal(Expression::Kind::kString);
    case TokenKind::kIdentifier: {
      auto name = parse_qualified_name("a constant");
      if (!name) return std::nullopt;
      return add_node(expression, Expression::Kind::kReference, name->first, {}, name->second);
    }
    default: break;
  }
  if (first.is("true") || first.is("false")) return literal(Expression::Kind::kBoolean);
  if (first.is("{")) return parse_array(expression, depth);
  if (first.is("(")) {
    take();
    const auto inside = parse_binary(expression, 1, depth + 1);
    if (!inside || !expect(")", "to close the parenthesis")) return std::nullopt;
    return add_node(expression, Expression::Kind::kParenthesis, "(", {*inside}, span(first.location, last_));
  }
  if (first.is("+") || first.is("-") || first.is("!") || first.is("~")) {
    take();
    const auto operand = parse_operand(expression, depth + 1);
    if (!operand) return std::nullopt;
    return add_node(expression, Expression::Kind::kUnary, first.text, {*operand}, span(first.location, last_));
  }
  error_expected("a value");
  return std::nullopt;
}

std::optional<uint32_t> Parser::parse_array(Expression& expression, unsigned depth) {
  const Token open = take();
  std::vector<uint32_t> elements;
  while (!peek().is("}")) {
    const auto element = parse_binary(expression, 1, depth + 1);
    if (!element) return std::nullopt;
    elements.push_back(*element);
    if (!take_if(",")) break;
  }
  if (!expect("}", "to end the array")) return std::nullopt;
  return add_node(expression, Expression::Kind::kArray, "{", std::move(elements), span(open.location, last_));
}

}  // namespace adyton::aidl
