#include "rpc/aidl/parser.h"

#include <fmt/format.h>

#include <algorithm>

namespace adyton::aidl {
namespace {

Location span(const Location& first, const Location& last) { return {first.file, first.offset, last.offset + last.length - first.offset}; }

// @nullable and @utf8InCpp in front of a member are of its type; everything else is of the member.
Annotations take_type_annotations(Annotations& annotations) {
  Annotations of_type;
  const auto is_of_type = [](const Annotation& annotation) { return annotation.name == "nullable" || annotation.name == "utf8InCpp"; };
  std::copy_if(annotations.list.begin(), annotations.list.end(), std::back_inserter(of_type.list), is_of_type);
  std::erase_if(annotations.list, is_of_type);
  return of_type;
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd: return "the end of the file";
    case TokenKind::kAnnotation: return quote(std::string("@") + std::string(token.text.substr(0, 100)));
    case TokenKind::kString: return "a string";
    default: return quote(token.text);
  }
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr size_t kLongest = 80;
  return text.size() <= kLongest ? fmt::format("'{}'", text) : fmt::format("'{}...'", text.substr(0, kLongest));
}

Comment make_comment(std::string_view text) {
  Comment comment;
  comment.text = text;
  if (!text.starts_with("/*")) return comment;
  const size_t hide = text.find("@hide");
  comment.hidden = hide != std::string_view::npos && text.find_first_of(" \t\r\n*", hide) == hide + 5;
  const size_t tag = text.find("@deprecated");
  if (tag == std::string_view::npos) return comment;
  std::string_view rest = text.substr(tag + std::string_view("@deprecated").size());
  if (!rest.empty() && rest.front() != ' ' && rest.front() != '\t' && rest.front() != '\n' && rest.front() != '\r' && rest.front() != '*') return comment;
  // Up to the next tag or the end, without the stars that begin lines.
  std::string note;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (const size_t close = line.find("*/"); close != std::string_view::npos) line = line.substr(0, close);
    const size_t begin = line.find_first_not_of(" \t\r*");
    if (begin == std::string_view::npos) continue;
    line.remove_prefix(begin);
    if (line.front() == '@') break;
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (!note.empty()) note += ' ';
    note += line;
  }
  comment.deprecated = std::move(note);
  return comment;
}

Parser::Parser(const SourceFile& file, Diagnostics& diagnostics) : file_(file), diagnostics_(diagnostics), lexer_(file, diagnostics) {
  token_ = lexer_.next();
  next_ = lexer_.next();
  document_ = std::make_unique<Document>();
  document_->file = &file_;
}

std::unique_ptr<Document> Parser::parse(const SourceFile& file, Diagnostics& diagnostics) {
  Parser parser(file, diagnostics);
  if (parser.peek().is("package")) parser.parse_package();
  while (parser.peek().is("import")) parser.parse_import();
  parser.parse_declarations();
  return std::move(parser.document_);
}

Token Parser::take() {
  Token taken = token_;
  last_ = taken.location;
  token_ = next_;
  next_ = lexer_.next();
  return taken;
}

bool Parser::take_if(std::string_view text) {
  if (!peek().is(text)) return false;
  take();
  return true;
}

void Parser::error_expected(std::string_view what) {
  diagnostics_.error(peek().location, fmt::format("expected {}, found {}", what, describe(peek())));
}

bool Parser::expect(std::string_view text, std::string_view context) {
  if (take_if(text)) return true;
  // A missing ';' belongs behind what it should have ended, not in front of the next line.
  if (text == ";" && last_.known()) {
    diagnostics_.error({last_.file, last_.offset + last_.length, 1}, fmt::format("expected ';' {}", context));
    // Only forgotten, when what comes next begins a line: go on as if it were there.
    return peek().kind != TokenKind::kEnd && file_.position(last_.offset).line < file_.position(peek().location.offset).line;
  }
  error_expected(fmt::format("'{}' {}", text, context));
  return false;
}

std::optional<Token> Parser::expect_identifier(std::string_view what) {
  if (peek().kind == TokenKind::kIdentifier) return take();
  if (peek().kind == TokenKind::kKeyword) {
    diagnostics_.error(peek().location, fmt::format("{} is a reserved word, it cannot be {}", quote(peek().text), what));
  } else {
    error_expected(what);
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, Location>> Parser::parse_qualified_name(std::string_view what) {
  const auto first = expect_identifier(what);
  if (!first) return std::nullopt;
  std::string name(first->text);
  Location location = first->location;
  while (peek().is(".")) {
    take();
    const auto part = expect_identifier("a name behind '.'");
    if (!part) return std::nullopt;
    name += '.';
    name += part->text;
    location = span(location, part->location);
  }
  return std::pair(std::move(name), location);
}

void Parser::skip_member() {
  unsigned depth = 0;
  while (peek().kind != TokenKind::kEnd) {
    if (peek().is("{")) {
      ++depth;
    } else if (peek().is("}")) {
      if (depth == 0) return;
      if (--depth == 0) {
        take();
        take_if(";");
        return;
      }
    } else if (peek().is(";") && depth == 0) {
      take();
      return;
    }
    take();
  }
}

void Parser::parse_package() {
  document_->comment = take().comment;
  const auto name = parse_qualified_name("the package's name");
  if (name) document_->package = name->first;
  if (!name || !expect(";", "behind the package's name")) {
    while (peek().kind != TokenKind::kEnd && !peek().is("import") && !at_declaration() && peek().kind != TokenKind::kAnnotation) {
      if (take().is(";")) break;
    }
  }
}

void Parser::parse_import() {
  take();
  auto name = parse_qualified_name("what to import");
  if (name && expect(";", "behind the import")) {
    // The same import twice is one.
    if (imported_.insert(name->first).second) {
      document_->imports.push_back({std::move(name->first), nullptr, name->second});
    } else {
      diagnostics_.warning(Warning::kUniqueImport, name->second, fmt::format("{} is imported twice", quote(name->first)));
    }
    return;
  }
  while (peek().kind != TokenKind::kEnd && !peek().is("import") && !at_declaration() && peek().kind != TokenKind::kAnnotation) {
    if (take().is(";")) break;
  }
}

bool Parser::at_declaration() const {
  return peek().is("interface") || peek().is("parcelable") || peek().is("union") || peek().is("enum") || (peek().is("oneway") && peek_next().is("interface"));
}

Parser::Preface Parser::parse_preface() {
  Preface preface;
  preface.comment = make_comment(peek().comment);
  preface.annotations = parse_annotations();
  return preface;
}

void Parser::parse_declarations() {
  bool complained = false;
  while (peek().kind != TokenKind::kEnd) {
    Preface preface = parse_preface();
    if (at_declaration()) {
      if (auto declaration = parse_declaration(std::move(preface), nullptr, 0)) document_->declarations.push_back(std::move(declaration));
      complained = false;
    } else if (peek().is("import") || peek().is("package")) {
      diagnostics_.error(peek().location, peek().is("import") ? "imports stand in front of all declarations" : "the package is the first thing in a file");
      skip_member();
    } else if (peek().kind == TokenKind::kEnd) {
      if (!preface.annotations.list.empty() && !complained) error_expected("a declaration behind the annotations");
    } else {
      // One complaint for a run of nonsense.
      if (!complained) error_expected("'interface', 'parcelable', 'union' or 'enum'");
      complained = true;
      take();
    }
  }
}

std::unique_ptr<Declaration> Parser::parse_declaration(Preface preface, Declaration* parent, unsigned depth) {
  const Token keyword = peek();
  if (depth >= kMaxNesting) {
    diagnostics_.error(keyword.location, fmt::format("types are nested more than {} deep", kMaxNesting));
    take();
    skip_member();
    return nullptr;
  }
  std::unique_ptr<Declaration> declaration;
  if (keyword.is("parcelable")) {
    declaration = parse_parcelable(parent, depth);
  } else if (keyword.is("union")) {
    declaration = parse_union(parent, depth);
  } else if (keyword.is("enum")) {
    declaration = parse_enum(parent);
  } else {
    declaration = parse_interface(parent, depth);
  }
  if (!declaration) {
    skip_member();
    return nullptr;
  }
  declaration->annotations = std::move(preface.annotations);
  declaration->comment = std::move(preface.comment);
  return declaration;
}

bool Parser::parse_name(Declaration& declaration) {
  const std::string what = fmt::format("the {}'s name", declaration.kind_name());
  auto name = parse_qualified_name(what);
  if (!name) return false;
  declaration.name = std::move(name->first);
  declaration.location = name->second;
  return true;
}

bool Parser::parse_type_parameters(Declaration& declaration) {
  if (!take_if("<")) return true;
  do {
    const auto name = expect_identifier("a type parameter's name");
    if (!name) return false;
    const std::string text(name->text);
    if (std::find(declaration.type_parameters.begin(), declaration.type_parameters.end(), text) != declaration.type_parameters.end()) {
      diagnostics_.error(name->location, fmt::format("there are two type parameters {}", quote(text)));
    }
    if (declaration.type_parameters.size() == kMaxNesting) {
      diagnostics_.error(name->location, fmt::format("there are more than {} type parameters", kMaxNesting));
      return false;
    }
    declaration.type_parameters.push_back(text);
  } while (take_if(","));
  return expect(">", "behind the type parameters");
}

std::unique_ptr<Declaration> Parser::parse_interface(Declaration* parent, unsigned depth) {
  auto interface = std::make_unique<InterfaceDeclaration>();
  interface->document = document_.get();
  interface->parent = parent;
  interface->oneway = take_if("oneway");
  take();
  if (!parse_name(*interface)) return nullptr;
  if (take_if(";")) return interface;
  if (!expect("{", "to begin the interface")) return nullptr;
  parse_members(*interface, interface->constants, &interface->methods, nullptr, depth);
  return interface;
}

std::unique_ptr<Declaration> Parser::parse_parcelable(Declaration* parent, unsigned depth) {
  take();
  auto parcelable = std::make_unique<ParcelableDeclaration>();
  parcelable->document = document_.get();
  parcelable->parent = parent;
  if (!parse_name(*parcelable) || !parse_type_parameters(*parcelable)) return nullptr;
  if (take_if("{")) {
    parse_members(*parcelable, parcelable->constants, nullptr, &parcelable->fields, depth);
    return parcelable;
  }
  auto unstructured = std::make_unique<UnstructuredDeclaration>();
  unstructured->document = document_.get();
  unstructured->parent = parent;
  unstructured->name = std::move(parcelable->name);
  unstructured->location = parcelable->location;
  unstructured->type_parameters = std::move(parcelable->type_parameters);
  if (!parse_headers(*unstructured)) return nullptr;
  if (!take_if(";")) {
    error_expected("'{' or ';' behind the parcelable's name");
    return nullptr;
  }
  return unstructured;
}

bool Parser::parse_headers(UnstructuredDeclaration& declaration) {
  while (peek().kind == TokenKind::kIdentifier) {
    std::string* header = peek().text == "cpp_header"   ? &declaration.cpp_header
                          : peek().text == "ndk_header" ? &declaration.ndk_header
                          : peek().text == "rust_type"  ? &declaration.rust_type
                                                        : nullptr;
    if (header == nullptr) {
      error_expected("'{', ';', 'cpp_header', 'ndk_header' or 'rust_type' behind the parcelable's name");
      return false;
    }
    const Token which = take();
    if (peek().kind != TokenKind::kString) {
      error_expected(fmt::format("a string behind '{}'", which.text));
      return false;
    }
    const Token text = take();
    if (!header->empty()) diagnostics_.error(which.location, fmt::format("there are two '{}'", which.text));
    *header = text.text.size() >= 2 ? text.text.substr(1, text.text.size() - 2) : std::string_view();
  }
  return true;
}

std::unique_ptr<Declaration> Parser::parse_union(Declaration* parent, unsigned depth) {
  take();
  auto declaration = std::make_unique<UnionDeclaration>();
  declaration->document = document_.get();
  declaration->parent = parent;
  if (!parse_name(*declaration) || !parse_type_parameters(*declaration) || !expect("{", "to begin the union")) return nullptr;
  parse_members(*declaration, declaration->constants, nullptr, &declaration->fields, depth);
  return declaration;
}

std::unique_ptr<Declaration> Parser::parse_enum(Declaration* parent) {
  take();
  auto declaration = std::make_unique<EnumDeclaration>();
  declaration->document = document_.get();
  declaration->parent = parent;
  if (!parse_name(*declaration) || !expect("{", "to begin the enum")) return nullptr;
  while (!peek().is("}") && peek().kind != TokenKind::kEnd) {
    auto enumerator = parse_enumerator();
    if (enumerator) declaration->enumerators.push_back(std::move(*enumerator));
    if (peek().is("}") || (enumerator && take_if(","))) continue;
    if (enumerator) error_expected("',' or '}' behind the enumerator");
    while (peek().kind != TokenKind::kEnd && !peek().is("}")) {
      if (take().is(",")) break;
    }
  }
  expect("}", "to end the enum");
  take_if(";");
  return declaration;
}

std::optional<Enumerator> Parser::parse_enumerator() {
  Preface preface = parse_preface();
  const auto name = expect_identifier("an enumerator's name");
  if (!name) return std::nullopt;
  Enumerator enumerator;
  enumerator.annotations = std::move(preface.annotations);
  enumerator.comment = std::move(preface.comment);
  enumerator.name = name->text;
  enumerator.location = name->location;
  if (take_if("=")) {
    auto expression = parse_expression();
    if (!expression) return std::nullopt;
    enumerator.expression = std::move(*expression);
  }
  return enumerator;
}

void Parser::parse_members(Declaration& declaration, std::vector<Constant>& constants, std::vector<Method>* methods, std::vector<Field>* fields,
                           unsigned depth) {
  while (!peek().is("}") && peek().kind != TokenKind::kEnd) {
    Preface preface = parse_preface();
    if (at_declaration()) {
      if (auto nested = parse_declaration(std::move(preface), &declaration, depth + 1)) declaration.nested.push_back(std::move(nested));
    } else if (peek().is("const")) {
      if (auto constant = parse_constant(std::move(preface))) {
        constants.push_back(std::move(*constant));
      } else {
        skip_member();
      }
    } else if (!parse_method_or_field(std::move(preface), methods, fields)) {
      skip_member();
    }
  }
  expect("}", fmt::format("to end the {}", declaration.kind_name()));
  take_if(";");
}

std::optional<Constant> Parser::parse_constant(Preface preface) {
  take();
  Constant constant;
  constant.comment = std::move(preface.comment);
  Annotations of_type = take_type_annotations(preface.annotations);
  Annotations more = parse_annotations();  // const @utf8InCpp String X
  std::move(more.list.begin(), more.list.end(), std::back_inserter(of_type.list));
  constant.annotations = std::move(preface.annotations);
  auto type = parse_type(std::move(of_type));
  if (!type) return std::nullopt;
  constant.type = std::move(*type);
  const auto name = expect_identifier("the constant's name");
  if (!name) return std::nullopt;
  constant.name = name->text;
  constant.location = name->location;
  if (!expect("=", "and the constant's value")) return std::nullopt;
  auto expression = parse_expression();
  if (!expression) return std::nullopt;
  constant.expression = std::move(*expression);
  if (!expect(";", "behind the constant")) return std::nullopt;
  return constant;
}

bool Parser::parse_method_or_field(Preface preface, std::vector<Method>* methods, std::vector<Field>* fields) {
  const Token first = peek();
  const bool oneway = take_if("oneway");
  if (oneway) {
    Annotations more = parse_annotations();
    std::move(more.list.begin(), more.list.end(), std::back_inserter(preface.annotations.list));
  }
  if (peek().kind != TokenKind::kIdentifier) {
    error_expected(methods != nullptr ? "a method, a constant or a type" : "a field, a constant or a type");
    if (!peek().is("}") && !peek().is(";")) take();
    return false;
  }
  auto type = parse_type(take_type_annotations(preface.annotations));
  if (!type) return false;
  const auto name = expect_identifier(methods != nullptr ? "the method's name" : "the field's name");
  if (!name) return false;
  if (peek().is("(")) {
    if (methods == nullptr) {
      diagnostics_.error(name->location, "only interfaces have methods");
      return false;
    }
    auto method = parse_method(std::move(preface), oneway, std::move(*type), *name);
    if (method) methods->push_back(std::move(*method));
    return method.has_value();
  }
  if (fields == nullptr) {
    if (peek().is(";") || peek().is("=")) {
      diagnostics_.error(name->location, "interfaces have no fields: a constant begins with 'const', a method has arguments in parentheses");
    } else {
      error_expected("'(' and the method's arguments");
    }
    return false;
  }
  if (oneway) diagnostics_.error(first.location, "only methods and interfaces are oneway");
  Field field;
  field.type = std::move(*type);
  field.name = name->text;
  field.location = name->location;
  field.annotations = std::move(preface.annotations);
  field.comment = std::move(preface.comment);
  if (take_if("=")) {
    auto expression = parse_expression();
    if (!expression) return false;
    field.expression = std::move(*expression);
  }
  if (!expect(";", "behind the field")) return false;
  fields->push_back(std::move(field));
  return true;
}

std::optional<Method> Parser::parse_method(Preface preface, bool oneway, Type result, const Token& name) {
  Method method;
  method.oneway = oneway;
  method.result = std::move(result);
  method.name = name.text;
  method.location = name.location;
  method.annotations = std::move(preface.annotations);
  method.comment = std::move(preface.comment);
  take();
  if (!peek().is(")")) {
    do {
      auto argument = parse_argument();
      if (!argument) return std::nullopt;
      method.arguments.push_back(std::move(*argument));
    } while (take_if(","));
  }
  if (!expect(")", "behind the arguments")) return std::nullopt;
  if (take_if("=")) {
    auto id = parse_expression();
    if (!id) return std::nullopt;
    method.explicit_id = std::move(*id);
  }
  if (!expect(";", "behind the method")) return std::nullopt;
  return method;
}

std::optional<Argument> Parser::parse_argument() {
  Argument argument;
  Annotations annotations = parse_annotations();
  if (peek().is("in") || peek().is("out") || peek().is("inout")) {
    const Token direction = take();
    argument.direction_given = true;
    argument.direction = direction.is("in")    ? Argument::Direction::kIn
                         : direction.is("out") ? Argument::Direction::kOut
                                               : Argument::Direction::kInOut;
  }
  Annotations more = parse_annotations();
  std::move(more.list.begin(), more.list.end(), std::back_inserter(annotations.list));
  auto type = parse_type(std::move(annotations));
  if (!type) return std::nullopt;
  argument.type = std::move(*type);
  const auto name = expect_identifier("the argument's name");
  if (!name) return std::nullopt;
  argument.name = name->text;
  argument.location = name->location;
  return argument;
}

}  // namespace adyton::aidl
