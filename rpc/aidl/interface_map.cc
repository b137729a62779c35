#include "rpc/aidl/interface_map.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <string_view>

namespace adyton::aidl {
namespace {

// Names are identifiers, types are made of them, and descriptors are printable ASCII without quotes and backslashes: nothing needs
// an escape.
class Json {
 public:
  void key(std::string_view name) {
    separate();
    fmt::format_to(std::back_inserter(text_), "\"{}\": ", name);
    first_ = true;  // its value needs no comma
  }
  void string(std::string_view value) {
    separate();
    fmt::format_to(std::back_inserter(text_), "\"{}\"", value);
  }
  void boolean(bool value) {
    separate();
    text_ += value ? "true" : "false";
  }
  void open(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void line() {
    line_ = true;
  }
  [[nodiscard]] std::string take() { return std::move(text_) + "\n"; }

 private:
  void separate() {
    if (!first_) text_ += line_ ? ",\n" : ", ";
    if (first_ && line_) text_ += '\n';
    first_ = line_ = false;
  }

  std::string text_;
  bool first_ = true;
  bool line_ = false;  // the next element is on a line of its own
};

std::string_view direction_of(const Argument& argument) {
  if (argument.direction == Argument::Direction::kInOut) return "inout";
  return argument.is_out() ? "out" : "in";
}

std::string_view backing_of(const EnumDeclaration& declaration) {
  if (declaration.backing == TypeKind::kLong) return "long";
  return declaration.backing == TypeKind::kInt ? "int" : "byte";
}

void collect(const Declaration& declaration, std::map<std::string, const Declaration*>& out) {
  out.emplace(declaration.qualified_name(), &declaration);
  for (const auto& nested : declaration.nested) collect(*nested, out);
  if (const auto* either = declaration.as_union(); either && either->tag) out.emplace(either->tag->qualified_name(), either->tag.get());
}

void write_fields(Json& json, const std::vector<Field>& fields) {
  json.key("fields");
  json.open('[');
  for (const Field& field : fields) {
    json.open('{');
    json.key("name");
    json.string(field.name);
    json.key("type");
    json.string(field.type.to_string(/*with_annotations=*/false));
    json.close('}');
  }
  json.close(']');
}

void write_type(Json& json, const Declaration& declaration) {
  json.open('{');
  json.key("kind");
  if (declaration.as_interface()) json.string("interface");
  if (declaration.as_unstructured()) json.string("unstructured");
  if (const auto* parcelable = declaration.as_parcelable()) {
    json.string("parcelable");
    write_fields(json, parcelable->fields);
  }
  if (const auto* either = declaration.as_union()) {
    json.string("union");
    write_fields(json, either->fields);
  }
  if (const auto* values = declaration.as_enum()) {
    json.string("enum");
    json.key("backing");
    json.string(backing_of(*values));
    json.key("values");
    json.open('{');
    std::map<int64_t, std::string_view> names;  // the first of several for one value
    for (const Enumerator& enumerator : values->enumerators) names.emplace(enumerator.value, enumerator.name);
    for (const auto& [value, name] : names) {
      json.key(std::to_string(value));
      json.string(name);
    }
    json.close('}');
  }
  json.close('}');
}

void write_method(Json& json, const Method& method) {
  json.open('{');
  json.key("name");
  json.string(method.name);
  json.key("oneway");
  json.boolean(method.oneway);
  json.key("result");
  json.string(method.result.to_string(/*with_annotations=*/false));
  json.key("arguments");
  json.open('[');
  for (const Argument& argument : method.arguments) {
    json.open('{');
    json.key("name");
    json.string(argument.name);
    json.key("direction");
    json.string(direction_of(argument));
    json.key("type");
    json.string(argument.type.to_string(/*with_annotations=*/false));
    json.close('}');
  }
  json.close(']');
  json.close('}');
}

void write_meta_method(Json& json, uint32_t id, std::string_view name, std::string_view result) {
  json.line();
  json.key(std::to_string(kFirstCallTransaction + id));
  json.open('{');
  json.key("name");
  json.string(name);
  json.key("oneway");
  json.boolean(false);
  json.key("result");
  json.string(result);
  json.key("arguments");
  json.open('[');
  json.close(']');
  json.close('}');
}

}  // namespace

std::string interface_map(const std::vector<const Document*>& documents, const BackendOptions& options) {
  std::map<std::string, const Declaration*> all;
  for (const Document* document : documents) {
    for (const auto& declaration : document->declarations) collect(*declaration, all);
  }
  std::map<std::string, const InterfaceDeclaration*> interfaces;
  for (const auto& [name, declaration] : all) {
    if (const auto* interface = declaration->as_interface()) interfaces.emplace(interface->descriptor(), interface);
  }
  Json json;
  json.open('{');
  json.key("interfaces");
  json.open('{');
  for (const auto& [descriptor, interface] : interfaces) {
    json.line();
    json.key(descriptor);
    json.open('{');
    json.key("name");
    json.string(interface->qualified_name());
    json.key("methods");
    json.open('{');
    std::map<uint32_t, const Method*> methods;
    for (const Method& method : interface->methods) methods.emplace(method.code(), &method);
    for (const auto& [code, method] : methods) {
      json.line();
      json.key(std::to_string(code));
      write_method(json, *method);
    }
    if (!options.hash.empty()) write_meta_method(json, kGetInterfaceHashId, "getInterfaceHash", "String");
    if (options.version) write_meta_method(json, kGetInterfaceVersionId, "getInterfaceVersion", "int");
    json.close('}');
    json.close('}');
  }
  json.close('}');
  json.line();
  json.key("types");
  json.open('{');
  for (const auto& [name, declaration] : all) {
    json.line();
    json.key(name);
    write_type(json, *declaration);
  }
  json.close('}');
  json.close('}');
  return json.take();
}

}  // namespace adyton::aidl
