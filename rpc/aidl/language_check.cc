#include "rpc/aidl/language_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

// Sorted. C++20's, with the alternative spellings of operators.
constexpr std::string_view kCppKeywords[] = {
    "alignas",   "alignof",    "and",        "and_eq",        "asm",           "auto",         "bitand",           "bitor",
    "bool",      "break",      "case",       "catch",         "char",          "char16_t",     "char32_t",         "char8_t",
    "class",     "co_await",   "co_return",  "co_yield",      "compl",         "concept",      "const",            "const_cast",
    "consteval", "constexpr",  "constinit",  "continue",      "decltype",      "default",      "delete",           "do",
    "double",    "dynamic_cast", "else",     "enum",          "explicit",      "export",       "extern",           "false",
    "float",     "for",        "friend",     "goto",          "if",            "inline",       "int",              "long",
    "mutable",   "namespace",  "new",        "noexcept",      "not",           "not_eq",       "nullptr",          "operator",
    "or",        "or_eq",      "private",    "protected",     "public",        "register",     "reinterpret_cast", "requires",
    "return",    "short",      "signed",     "sizeof",        "static",        "static_assert", "static_cast",     "struct",
    "switch",    "template",   "this",       "thread_local",  "throw",         "true",         "try",              "typedef",
    "typeid",    "typename",   "union",      "unsigned",      "using",         "virtual",      "void",             "volatile",
    "wchar_t",   "while",      "xor",        "xor_eq"};

class LanguageChecker {
 public:
  LanguageChecker(Language language, Diagnostics& diagnostics) : language_(language), diagnostics_(diagnostics) {}

  void check(const Declaration& declaration) {
    check_name(declaration.name, declaration.location);
    if (const auto* interface = declaration.as_interface()) {
      check(interface->constants);
      for (const Method& method : interface->methods) {
        check_name(method.name, method.location);
        check(method.result);
        for (const Argument& argument : method.arguments) {
          check_name(argument.name, argument.location);
          check(argument.type);
        }
      }
    } else if (const auto* parcelable = declaration.as_parcelable()) {
      check(parcelable->constants);
      check(parcelable->fields);
    } else if (const auto* owner = declaration.as_union()) {
      check(owner->constants);
      check(owner->fields);
    } else if (const auto* enumeration = declaration.as_enum()) {
      for (const Enumerator& enumerator : enumeration->enumerators) check_name(enumerator.name, enumerator.location);
    }
    for (const auto& nested : declaration.nested) check(*nested);
  }

  void check_package(const Document& document) {
    std::string_view left = document.package;
    while (!left.empty()) {
      const std::string_view part = left.substr(0, left.find('.'));
      left.remove_prefix(std::min(part.size() + 1, left.size()));
      if (is_cpp_keyword(part)) {
        diagnostics_.error({document.file, 0, 1}, fmt::format("package {}: {} is a keyword of C++", quote(document.package), quote(part)));
      }
    }
  }

 private:
  void check(const std::vector<Constant>& constants) {
    for (const Constant& constant : constants) check_name(constant.name, constant.location);
  }

  void check(const std::vector<Field>& fields) {
    for (const Field& field : fields) {
      check_name(field.name, field.location);
      check(field.type);
    }
  }

  void check_name(std::string_view name, const Location& location) {
    if (is_cpp_keyword(name)) diagnostics_.error(location, fmt::format("{} is a keyword of C++", quote(name)));
  }

  void check(const Type& type) {
    const auto error = [&](std::string_view why) { diagnostics_.error(type.location, fmt::format("{} {}", quote(type.name), why)); };
    switch (type.kind) {
      case TypeKind::kMap: error("is only for Java: C++ has no type for it"); return;
      case TypeKind::kCharSequence: error("is only for Java: use String"); return;
      case TypeKind::kFileDescriptor:
        if (language_ == Language::kNdk) error("is not for --lang=ndk: use ParcelFileDescriptor");
        if (language_ == Language::kCpp && type.nullable) error("cannot be null in C++: use ParcelFileDescriptor");
        return;
      case TypeKind::kList:
        if (type.arguments.empty()) error("without an argument is only for Java: say what it holds");
        for (const Type& argument : type.arguments) {
          if (argument.is_array() || argument.kind == TypeKind::kList) {
            diagnostics_.error(argument.location, fmt::format("a List of {} is only for Java", quote(argument.to_string(false))));
          }
        }
        break;
      case TypeKind::kDeclared:
        if (const auto* unstructured = type.declaration->as_unstructured()) {
          if (language_ == Language::kCpp && unstructured->cpp_header.empty()) error("has no cpp_header: its declaration must say where its C++ class is");
          if (language_ == Language::kNdk && unstructured->ndk_header.empty()) error("has no ndk_header: its declaration must say where its C++ class is");
        }
        break;
      default: break;
    }
    for (const Type& argument : type.arguments) check(argument);
  }

  const Language language_;
  Diagnostics& diagnostics_;
};

}  // namespace

bool is_cpp_keyword(std::string_view name) { return std::binary_search(std::begin(kCppKeywords), std::end(kCppKeywords), name); }

void check_language(const Document& document, Language language, Diagnostics& diagnostics) {
  LanguageChecker checker(language, diagnostics);
  checker.check_package(document);
  for (const auto& declaration : document.declarations) checker.check(*declaration);
}

}  // namespace adyton::aidl
